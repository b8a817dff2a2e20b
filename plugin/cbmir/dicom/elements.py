"""The elements of a header as they lie in the file (PS3.5 7.1)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from struct import Struct

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_dict
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

UNKNOWN = "UN"
"""The value representation of what a sender did not know: of undefined length it is a sequence, implicit and little
endian in every transfer syntax (PS3.5 6.2.2)."""

META, PRIVATE, DELIMITERS = b"\2\0", 0x00010000, 0xFFFE
"""The group of the meta header as it is written, the bit of a tag that makes it private, and the group of items."""

ITEM, END_OF_SEQUENCE = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
END_OF_ITEM = b"\xfe\xff\x0d\xe0\0\0\0\0"
"""What an item begins with, little endian, and what ends items and sequences of undefined length (PS3.5 7.5)."""

DEEPEST = 8
"""Levels of sequences within sequences that are passed over."""

Element = tuple[int, str, int, int, int]
"""The tag, the value representation, empty where it is implicit, where the value begins and ends, and where the
next element begins, which of a sequence of undefined length is behind its delimiter."""

Elements = dict[BaseTag, DataElement | RawDataElement]

TAGS = {number: BaseTag(number) for number in keyword_dict.values()}
"""The same objects for the same numbers: comparing two of them is a call in Python."""

GUESSED = ("", DeflatedExplicitVRLittleEndian, *PrivateTransferSyntaxes)
"""Transfer syntaxes whose encoding does not follow from PS3.5 10 alone."""

_raw = partial(tuple.__new__, RawDataElement)  # its constructor, which checks nothing either, takes twice as long

_NAMES = {each.value.encode(): each.value for each in VR if len(each.value) == 2}
_SHORT = {"<": Struct("<HH2sH").unpack_from, ">": Struct(">HH2sH").unpack_from}
_WHOLE = {"<": Struct("<HHL").unpack_from, ">": Struct(">HHL").unpack_from}
_LENGTH = {"<": Struct("<L").unpack_from, ">": Struct(">L").unpack_from}


def element_at(data: bytes | memoryview, at: int, order: str, explicit: bool) -> Element | None:
    """The first of `elements_from`; None if there can be none."""
    return next(elements_from(data, at, order, explicit), None)


def elements_from(
    data: bytes | memoryview, at: int, order: str, explicit: bool, depth: int = 0
) -> Iterator[Element]:
    """The elements one after the other, until there can be none; the value of the last one need not be there.

    Args:
        data: which they lie in.
        at: offset of the first.
        order: of bytes, "<" or ">".
        explicit: whether value representations are written.
        depth: levels of sequences that they are in.
    """
    short, whole, long, last = _SHORT[order], _WHOLE[order], _LENGTH[order], len(data) - (12 if explicit else 8)
    while at <= last:
        if explicit:
            group, number, code, length = short(data, at)
            vr, start = _NAMES.get(code), at + 8
            if vr is None:
                return
            if code in LONG:
                start, (length,) = at + 12, long(data, at + 8)
        else:
            group, number, length = whole(data, at)
            vr, start = "", at + 8
        tag, at = group << 16 | number, start + length
        end = at
        if length == UNDEFINED and (order == "<" or vr == UNKNOWN) and _is_sequence(tag, vr):
            end, at = _end_of_sequence(data, start, explicit and vr != UNKNOWN, depth) or (end, end)
        yield tag, vr, start, end, at


def _is_sequence(tag: int, vr: str) -> bool:
    """Whether an element of undefined length has items that are encoded as it is; of private ones these tell."""
    if vr or tag & PRIVATE:
        return vr in ("", "SQ", UNKNOWN)
    return dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"


def _end_of_sequence(data: bytes | memoryview, at: int, explicit: bool, depth: int) -> tuple[int, int] | None:
    """Where the delimiter of a sequence begins and ends; None where anything is unusual."""
    at = end_of_items(data, at, explicit, depth)
    return (at, at + 8) if data[at : at + 8] == END_OF_SEQUENCE else None


def end_of_items(data: bytes | memoryview, at: int, explicit: bool, depth: int = 0) -> int:
    """Where what follows the items of a sequence begins; the end of the data where one of them is unusual.

    Args:
        data: little endian.
        at: offset of the first item.
        explicit: whether value representations are written.
        depth: levels of sequences that this one is in.
    """
    while depth < DEEPEST and data[at : at + 4] == ITEM:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at = _end_of_item(data, at + 8, explicit, None if length == UNDEFINED else at + 8 + length, depth + 1)
    return at


def _end_of_item(data: bytes | memoryview, at: int, explicit: bool, end: int | None, depth: int) -> int:
    """Where what follows an item begins; the end of the data where anything is unusual."""
    inside = elements_from(data, at, "<", explicit, depth)
    while at != end and (each := next(inside, None)) and not _is_unusual(each, len(data)):
        at = each[4]
    if end is None and data[at : at + 8] == END_OF_ITEM:
        return at + 8
    return at if at == end else len(data)


def _is_unusual(each: Element, length: int) -> bool:
    """Whether it is none that pydicom reads without further thought, or ends behind the data."""
    tag, _, start, end, _ = each
    return end > length or tag >> 16 == DELIMITERS or (tag == CHARACTER_SET and end - start > MAX_CHARACTER_SETS)


def end_of_meta(data: bytes | memoryview) -> tuple[int, str]:
    """Where the meta header (PS3.10 7.1, always explicit little endian) ends, and its transfer syntax, if only
    empty."""
    at, syntax = PREAMBLE + 4, ""
    while (element := element_at(data, at, "<", explicit=True)) and element[0] >> 16 == 0x0002:
        tag, _, start, at, _ = element
        if tag == SYNTAX:
            syntax = bytes(data[start:at]).decode("ascii", "replace").rstrip("\0 ")
    return at, syntax


def plain_header(data: memoryview) -> tuple[Dataset, int] | None:
    """What pydicom reads of an object in front of its pixels, and where these begin, for a third of the time.

    Args:
        data: the file, or as much of it as a header usually takes.

    Returns:
        A dataset without private elements; None where anything is unusual, which pydicom knows what to do with: no
        meta header, elements out of order, cut short or of undefined length but for sequences, no pixels.
    """
    if (begun := _begun(data)) is None:
        return None
    meta, at, implicit, order = begun
    found, at = _plain(data, at, order, explicit=not implicit, below=min(PIXEL_KEYWORDS))
    pixels = element_at(data, at, order, explicit=not implicit)
    return (_dataset(found, meta, implicit, order), at) if pixels and pixels[0] in PIXEL_KEYWORDS else None


def plain_element(data: memoryview, tag: int) -> DataElement | RawDataElement | None:
    """One element; None where there is none, or anything is unusual up to the one behind it.

    Args:
        data: a file's first bytes.
        tag: of the element, whose representation is not SQ.
    """
    if (begun := _begun(data)) is None:
        return None
    _, at, implicit, order = begun
    found, at = _plain(data, at, order, explicit=not implicit, below=tag + 1)
    behind = element_at(data, at, order, explicit=not implicit)
    return found.get(TAGS[tag]) if behind and behind[0] > tag else None


def _begun(data: memoryview) -> tuple[Elements, int, bool, str] | None:
    """The meta header, where it ends, and how what follows is encoded: implicitly or not, and in which order."""
    if bytes(data[PREAMBLE : PREAMBLE + 4]) != b"DICM":
        return None
    meta, at = _plain(data, PREAMBLE + 4, "<", explicit=True, below=0x00030000)
    syntax = _syntax(meta)
    implicit, order = syntax == ImplicitVRLittleEndian, ">" if syntax == ExplicitVRBigEndian else "<"
    if syntax in GUESSED or bytes(data[at : at + 2]) == META or bytes(data[at + 4 : at + 6]).isalpha() == implicit:
        return None
    return meta, at, implicit, order


def _plain(data: memoryview, at: int, order: str, *, explicit: bool, below: int) -> tuple[Elements, int]:
    """The elements with tags below one, and where these end: before that if something is unusual."""
    found: Elements = {}
    last, length, little = 0, len(data), order == "<"
    for number, vr, start, end, behind in elements_from(data, at, order, explicit):
        if not last < number < below or end > length:
            break
        if not number & PRIVATE:
            if number == CHARACTER_SET and end - start > MAX_CHARACTER_SETS:
                break
            tag, value = TAGS.get(number) or BaseTag(number), data[start:end].tobytes()
            endless = vr == UNKNOWN and behind != end
            how = ("SQ", True, True) if endless else (vr or None, not explicit, little)
            found[tag] = _raw((tag, how[0], end - start, value, start, *how[1:], True, False))
        at, last = behind, number
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
