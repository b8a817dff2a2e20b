"""Bytes of DICOM to 2D float32: reading, header, frames, pixels, waveforms; pure functions."""
