"""What a DICOM object is, in words that a user knows."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import UID

from cbmir.dicom import values


def kind(dataset: Dataset) -> str:
    """The name of the object's SOP class, such as "Encapsulated PDF Storage"; else its modality, else "DICOM"."""
    uid = values.text(dataset, "SOPClassUID") or values.text(dataset.file_meta, "MediaStorageSOPClassUID")
    known = UID(uid).name if uid else ""
    if known and known != uid:
        return known
    return f"{values.text(dataset, 'Modality')[:16]} object".strip() if "Modality" in dataset else "DICOM object"
