"""The elements of a header as they lie in the file (PS3.5 7.1)."""

from __future__ import annotations

from struct import Struct

from pydicom.datadict import keyword_dict
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    PrivateTransferSyntaxes,
)
from pydicom.valuerep import VR

from cbmir.dicom.watched import MAX_CHARACTER_SETS

PREAMBLE = 128
"""Bytes before the letters DICM (PS3.10 7.1)."""

PIXEL_KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
"""The elements that may hold pixels, of which an object has one (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25)."""

UNDEFINED = 0xFFFFFFFF
"""The length of an element that ends with a delimiter (PS3.5 7.1)."""

LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OF", b"OD", b"OL", b"OV", b"SV", b"UV"}
"""Value representations whose length takes four bytes after two that are reserved (PS3.5 7.1.2)."""

SYNTAX, CHARACTER_SET = BaseTag(0x00020010), 0x00080005
"""The tags of Transfer Syntax UID and of Specific Character Set."""

META, PRIVATE = b"\2\0", 0x00010000
"""The group of the meta header as it is written, and the bit of a tag that makes it private."""

Element = tuple[int, str, int, int]
"""The tag, the value representation, empty where it is implicit, and where the value begins and ends."""

Elements = dict[BaseTag, DataElement | RawDataElement]

TAGS = {number: BaseTag(number) for number in keyword_dict.values()}
"""The same objects for the same numbers: comparing two of them is a call in Python."""

GUESSED = ("", DeflatedExplicitVRLittleEndian, *PrivateTransferSyntaxes)
"""Transfer syntaxes whose encoding does not follow from PS3.5 10 alone."""

_NAMES = {each.value.encode(): each.value for each in VR if len(each.value) == 2}
_SHORT = {"<": Struct("<HH2sH").unpack_from, ">": Struct(">HH2sH").unpack_from}
_WHOLE = {"<": Struct("<HHL").unpack_from, ">": Struct(">HHL").unpack_from}
_LENGTH = {"<": Struct("<L").unpack_from, ">": Struct(">L").unpack_from}


def element_at(data: bytes | memoryview, at: int, order: str, explicit: bool) -> Element | None:
    """The element at `at`; None if there can be none. Its value need not be there.

    Args:
        data: which it lies in.
        at: offset.
        order: of bytes, "<" or ">".
        explicit: whether its value representation is written.
    """
    if len(data) < at + 12:
        return None
    if not explicit:
        group, number, length = _WHOLE[order](data, at)
        return group << 16 | number, "", at + 8, at + 8 + length
    group, number, code, length = _SHORT[order](data, at)
    vr = _NAMES.get(code)
    if vr is None:
        return None
    start = at + 8
    if code in LONG:
        start, (length,) = at + 12, _LENGTH[order](data, at + 8)
    return group << 16 | number, vr, start, start + length


def plain_header(data: memoryview) -> tuple[Dataset, int] | None:
    """What pydicom reads of an object in front of its pixels, and where these begin, for a third of the time.

    Args:
        data: the file, or as much of it as a header usually takes.

    Returns:
        A dataset without private elements; None where anything is unusual, which pydicom knows what to do with: no
        meta header, elements of undefined length, out of order or cut short, no pixels.
    """
    if bytes(data[PREAMBLE : PREAMBLE + 4]) != b"DICM":
        return None
    meta, at = _plain(data, PREAMBLE + 4, "<", explicit=True, below=0x00030000)
    syntax = _syntax(meta)
    implicit, order = syntax == ImplicitVRLittleEndian, ">" if syntax == ExplicitVRBigEndian else "<"
    if syntax in GUESSED or bytes(data[at : at + 2]) == META or bytes(data[at + 4 : at + 6]).isalpha() == implicit:
        return None
    found, at = _plain(data, at, order, explicit=not implicit, below=min(PIXEL_KEYWORDS))
    pixels = element_at(data, at, order, explicit=not implicit)
    return (_dataset(found, meta, implicit, order), at) if pixels and pixels[0] in PIXEL_KEYWORDS else None


def _plain(data: memoryview, at: int, order: str, *, explicit: bool, below: int) -> tuple[Elements, int]:
    """The elements with tags below one, and where these end: before that if something is unusual."""
    found: Elements = {}
    last, little = 0, order == "<"
    while here := element_at(data, at, order, explicit):
        number, vr, start, end = here
        if not last < number < below or end > len(data):
            break
        if number == CHARACTER_SET and end - start > MAX_CHARACTER_SETS:
            break
        if not number & PRIVATE:
            tag, value = TAGS.get(number) or BaseTag(number), bytes(data[start:end])
            found[tag] = RawDataElement(tag, vr or None, end - start, value, start, not explicit, little)
        at, last = end, number
    return found, at


def _syntax(meta: Elements) -> str:
    """The transfer syntax that a meta header names; empty if it names none."""
    named = meta.get(SYNTAX)
    return bytes(named.value or b"").decode("ascii", "replace").rstrip("\0 ") if named else ""


def _dataset(found: Elements, meta: Elements, implicit: bool, order: str) -> Dataset:
    dataset, dataset_of_meta = Dataset(found), FileMetaDataset(meta)
    dataset.set_original_encoding(implicit, order == "<")
    dataset_of_meta.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    dataset.file_meta = dataset_of_meta
    return dataset
