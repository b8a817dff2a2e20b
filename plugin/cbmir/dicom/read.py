"""Bytes to a DICOM dataset: found by content, with or without preamble and meta header (PS3.10 7.1)."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from cbmir.dicom.boundary import RESEND, translated
from cbmir.errors import BrokenFile, NotAPicture, UnsafeArchive

PREAMBLE = 128
"""Bytes before the letters DICM (PS3.10 7.1)."""

MAX_INFLATED = 1024**3
"""Bytes that a deflated object (PS3.5 A.5) may inflate to: beyond that it is a bomb."""

PIXEL_DATA = 0x7FE00010
"""The tag of Pixel Data (PS3.3 C.7.6.3)."""

UNDEFINED = 0xFFFFFFFF
"""The length of an element that ends with a delimiter (PS3.5 7.1)."""

SIGNS = ("SOPClassUID", "SOPInstanceUID", "Modality", "StudyDate", "RecognitionCode", "ImageType")
"""Elements of group 0008, any of which shows that bytes without a preamble are a DICOM dataset."""

_VRS = {each.value.encode() for each in VR if len(each.value) == 2}


def is_dicom(data: bytes) -> bool:
    """Whether the bytes look like a DICOM object: by the letters DICM, or by what can only be two elements."""
    return data[PREAMBLE : PREAMBLE + 4] == b"DICM" or _starts_with_element(data)


def read_dataset(data: bytes, name: str) -> Dataset:
    """Parse a DICOM object, in whatever transfer syntax.

    Args:
        data: the whole file.
        name: what the user calls it, for the error's reason.

    Returns:
        The dataset; its `file_meta` always names a transfer syntax, a guessed one where the file has none.

    Raises:
        cbmir.errors.NotAPicture: if it is no DICOM.
        cbmir.errors.BrokenFile: if it is cut short or damaged.
        cbmir.errors.UnsafeArchive: if a deflated object inflates beyond `MAX_INFLATED`.
    """
    if not is_dicom(data):
        raise NotAPicture(f"{name} is no DICOM object.", "Hand in a DICOM object, or a PNG, JPEG, TIFF or BMP.")
    with translated(f"{name} is a DICOM object that cannot be parsed"):
        _refuse_bomb(data, name)
        stream = BytesIO(data)
        dataset = dcmread(stream, force=True)
        _refuse_cut(dataset, name)
        _refuse_rest(dataset, data, stream.tell(), name)
        _refuse_nonsense(dataset, name)
        _fill_transfer_syntax(dataset)
    return dataset


def _starts_with_element(data: bytes) -> bool:
    """Whether the first two elements' tags and lengths make sense, in any of the three encodings (PS3.5 7.1)."""
    return any(_plausible(data, order, explicit) for order in "<>" for explicit in (True, False))


def _plausible(data: bytes, order: str, explicit: bool) -> bool:
    first = _element(data, 0, order, explicit)
    if first is None or first[0] >> 16 not in (0x0002, 0x0008):
        return False
    second = _element(data, first[1], order, explicit)
    return second is not None and first[0] < second[0] and second[0] >> 16 <= 0x0028


def _element(data: bytes, at: int, order: str, explicit: bool) -> tuple[int, int] | None:
    """(tag, offset of the next element) of the element at `at`; None if there can be none."""
    if len(data) < at + 12:
        return None
    group, number, code = struct.unpack_from(f"{order}HH2s", data, at)
    if not explicit:
        start, (length,) = at + 8, struct.unpack_from(f"{order}L", data, at + 4)
    elif code not in _VRS:
        return None
    elif code in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OF", b"OD", b"OL", b"OV", b"SV", b"UV"):
        start, (length,) = at + 12, struct.unpack_from(f"{order}L", data, at + 8)
    else:
        start, (length,) = at + 8, struct.unpack_from(f"{order}H", data, at + 6)
    return (group << 16 | number, start + length) if start + length <= len(data) else None


def _refuse_bomb(data: bytes, name: str) -> None:
    start, syntax = _end_of_meta(data)
    if syntax != DeflatedExplicitVRLittleEndian:
        return
    inflater, rest, total = zlib.decompressobj(-zlib.MAX_WBITS), data[start:], 0
    while rest and not inflater.eof:
        total += len(inflater.decompress(rest, 1 << 20))
        rest = inflater.unconsumed_tail
        if total > MAX_INFLATED:
            raise UnsafeArchive(f"{name} inflates to more than {MAX_INFLATED} bytes.", "Store it uncompressed.")


def _end_of_meta(data: bytes) -> tuple[int, str]:
    """Where the meta header (PS3.10 7.1, always explicit little endian) ends, and its transfer syntax."""
    at, syntax = PREAMBLE + 4, ""
    while (element := _element(data, at, "<", explicit=True)) and element[0] >> 16 == 0x0002:
        if element[0] == 0x00020010:
            syntax = data[at + 8 : element[1]].decode("ascii", "replace").rstrip("\0 ")
        at = element[1]
    return at, syntax


def _refuse_cut(dataset: Dataset, name: str) -> None:
    for element in dataset.elements():
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED or element.tag > PIXEL_DATA:
            continue  # what follows the pixels, mostly padding, does not matter here
        found = len(element.value or b"")
        if found < element.length:
            reason = f"{name} is cut short: element {element.tag} promises {element.length} bytes and has {found}."
            raise BrokenFile(reason, RESEND)


def _refuse_rest(dataset: Dataset, data: bytes, at: int, name: str) -> None:
    """Refuse what lies behind the last element: pydicom passes over a value without an end, or half a tag."""
    last = next(reversed(list(dataset.elements())), None)
    deflated = dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    if isinstance(last, RawDataElement) and last.length != UNDEFINED and not deflated:
        at = min(at, last.value_tell + last.length)
    if data[at:].strip(b"\0"):
        raise BrokenFile(
            f"{name} is cut short or damaged: nothing can be made of its last {len(data) - at} bytes.", RESEND
        )


def _refuse_nonsense(dataset: Dataset, name: str) -> None:
    if not any(sign in dataset for sign in SIGNS) and "MediaStorageSOPClassUID" not in dataset.file_meta:
        raise BrokenFile(f"{name} begins like a DICOM object, but none of its elements makes sense.", RESEND)


def _fill_transfer_syntax(dataset: Dataset) -> None:
    if dataset.file_meta.get("TransferSyntaxUID"):
        return
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
