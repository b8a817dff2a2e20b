"""Archives that speak DICOMweb: QIDO-RS, WADO-RS and STOW-RS (PS3.18)."""

from cbmir.archive.dicomweb.archive import DicomWebArchive

__all__ = ["DicomWebArchive"]
