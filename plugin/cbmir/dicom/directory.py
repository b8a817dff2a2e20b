"""DICOMDIR: the table of contents of a medium (PS3.3 F.3, PS3.10)."""

from __future__ import annotations

from pydicom.multival import MultiValue

from cbmir.dicom.boundary import translated
from cbmir.dicom.read import read_object
from cbmir.errors import BrokenFile


def referenced_files(data: bytes, name: str) -> list[tuple[str, ...]]:
    """The files that a DICOMDIR lists, as path components below its folder, in its order, each once.

    Args:
        data: bytes of the DICOMDIR.
        name: as errors name it.

    Raises:
        cbmir.errors.UnusableInput: if it cannot be read or is no DICOMDIR.
    """
    dataset = read_object(data, name).dataset
    with translated(f"{name} has directory records that make no sense"):
        records = dataset.get("DirectoryRecordSequence")
        if records is None:
            raise BrokenFile(f"{name} has no Directory Record Sequence.", "Hand in the folder instead.")
        listed = (record.get("ReferencedFileID") for record in records)
        return list(dict.fromkeys(_components(entry) for entry in listed if entry))


def _components(entry: str | MultiValue[str]) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)
