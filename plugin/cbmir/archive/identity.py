"""Whose file it is: the SOP Instance UID of a DICOM file, without reading more of it than that."""

from __future__ import annotations

from pathlib import Path

from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cbmir.dicom import raw, values
from cbmir.dicom.boundary import RESEND, translated
from cbmir.dicom.elements import plain_element
from cbmir.dicom.header import MAX_UID, UID
from cbmir.errors import BrokenFile

SOP_INSTANCE_UID = 0x00080018

HEAD = 2048
"""Bytes in which the meta header names the transfer syntax, and the dataset nearly always its UID."""

DEFLATED = DeflatedExplicitVRLittleEndian.encode()


def is_uid(text: str) -> bool:
    """Whether this is a UID, and so can name a file (PS3.5 9.1)."""
    return len(text) <= MAX_UID and UID.fullmatch(text) is not None


def sop_instance_uid(path: Path, name: str) -> str:
    """The object's SOP Instance UID; of a deflated one that of its meta header, lest it is inflated here.

    Args:
        path: a DICOM file (PS3.10).
        name: what an error calls it.

    Raises:
        cbmir.errors.BrokenFile: if it is no DICOM file, or has no SOP Instance UID.
    """
    with translated(f"{name} is no DICOM file that can be read"):
        found = _read(path)
    if not found:
        raise BrokenFile(f"{name} has no SOP Instance UID.", RESEND)
    return found


def uid_at_head(head: bytes) -> str:
    """The SOP Instance UID that a file's first `HEAD` bytes leave no doubt about; else an empty string."""
    return raw.text(plain_element(memoryview(head), SOP_INSTANCE_UID)) or ""


def _read(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD)
        if plain := uid_at_head(head):
            return plain
        file.seek(0)
        if DEFLATED in head:
            return values.text(read_file_meta_info(path), "MediaStorageSOPInstanceUID")
        return values.text(read_partial(file, _beyond, defer_size=1024), "SOPInstanceUID")


def _beyond(tag: BaseTag, *_: object) -> bool:
    return int(tag) > SOP_INSTANCE_UID
