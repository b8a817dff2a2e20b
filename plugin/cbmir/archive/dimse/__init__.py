"""DICOM's own network protocol (PS3.7, PS3.8): an archive that is asked by it, and the Storage SCP."""
