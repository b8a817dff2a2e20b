"""DICOM objects to 2D pictures: reading, header, frames, pixels, waveforms; pure functions."""
