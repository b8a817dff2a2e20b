"""DICOM objects to 2D pictures: reading, header, frames, pixels, waveforms; pure functions."""

from cbmir.dicom import syntaxes as syntaxes  # whoever reads DICOM knows them
