"""Grey scale and passes over pixels, of DICOM and of image files alike."""
