"""A small archive of drawn patients: true DICOM objects without anybody's data, for the demo and the tests."""
