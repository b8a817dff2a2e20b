"""Whether items fill a sequence, and elements each item, as their lengths say (PS3.5 7.5).

A wrong length within a sequence need not stop a parser: it takes what is left for something else, or passes over
the window and the slope that stand behind. How an item is encoded is found as pydicom finds it, by its first
element.
"""

from __future__ import annotations

import re
import sys
from struct import Struct
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from cbmir.dicom.elements import LONG, PRIVATE, TAGS, UNDEFINED
from cbmir.dicom.octets import Octets

TAKEN = {
    "AnatomicRegionSequence": TAGS[0x00082218],
    "SequenceOfUltrasoundRegions": TAGS[0x00186011],
    "ModalityLUTSequence": TAGS[0x00283000],
    "VOILUTSequence": TAGS[0x00283010],
    "ViewCodeSequence": TAGS[0x00540220],
    "SegmentSequence": TAGS[0x00620002],
    "SharedFunctionalGroupsSequence": TAGS[0x52009229],
    "PerFrameFunctionalGroupsSequence": TAGS[0x52009230],
    "WaveformSequence": TAGS[0x54000100],
}
"""The sequences of an object of which values are taken; any other may be as it is."""

ITEM, END_OF_ITEM, END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

NOWHERE = sys.maxsize
"""Where something ends that does not fit."""

HEAD, LONG_HEAD = 8, 12
"""Bytes in front of a value, and in front of one whose length takes four bytes behind a value representation."""

_HEADS = {order: Struct(order + "HHL").unpack_from for order in "<>"}
_SHORT = {order: Struct(order + "H").unpack_from for order in "<>"}
_LONG = {order: Struct(order + "L").unpack_from for order in "<>"}


def misfit(dataset: Dataset, header: Octets) -> str:
    """The keyword of a sequence of which values are taken, and which its items do not fill; empty if all do.

    Args:
        dataset: nobody has asked for its values yet.
        header: the bytes that it was read from.
    """
    present = dataset.keys()
    return next((name for name, tag in TAKEN.items() if tag in present and not _fits(dataset, tag, header)), "")


def _fits(dataset: Dataset, tag: BaseTag, header: Octets) -> bool:
    element: Any = dataset.get_item(tag)
    if isinstance(element, RawDataElement):
        walk = _Walk(memoryview(element.value or b""), "<" if element.is_little_endian else ">")
        return walk.items(0, len(walk.data), not element.is_implicit_VR) != NOWHERE
    implicit, little = dataset.original_encoding
    walk = _Walk(header.read(element.file_tell), "<" if little else ">")
    return walk.items(0, None, not implicit) != NOWHERE


class _Walk(NamedTuple):
    """From item to item.

    Attributes:
        data: which they lie in.
        order: of bytes, "<" or ">".
    """

    data: memoryview
    order: str

    def items(self, at: int, end: int | None, explicit: bool) -> int:
        """Where the next element begins behind a sequence that ends at an offset, or with a delimiter.

        Writers put delimiters into sequences and items of known length, too.
        """
        while at != end:
            tag, length = self._head(at)
            at += HEAD
            if tag == END_OF_SEQUENCE:
                return at if end in (None, at) else NOWHERE
            limit = None if length == UNDEFINED else at + length
            if tag != ITEM or (limit or at) > (end or len(self.data)):
                return NOWHERE
            at = self._item(at, limit, explicit and self._names_representation(at))
        return at

    def _item(self, at: int, end: int | None, explicit: bool) -> int:
        """Where the next item begins."""
        while at != end:
            tag, length = self._head(at)
            if tag == END_OF_ITEM:
                return at + HEAD if end in (None, at + HEAD) else NOWHERE
            if tag in (0, ITEM, END_OF_SEQUENCE):
                return NOWHERE
            at = self._element(at, tag, length, explicit)
            if at > (end or len(self.data)):
                return NOWHERE
        return at

    def _element(self, at: int, tag: int, length: int, explicit: bool) -> int:
        """Where the next element begins."""
        vr, start = b"", at + HEAD
        if explicit and self._names_representation(at):
            vr = bytes(self.data[at + 4 : at + 6])
            if vr not in LONG:
                return start + int(_SHORT[self.order](self.data, at + 6)[0])
            if at + LONG_HEAD > len(self.data):
                return NOWHERE
            start, (length,) = at + LONG_HEAD, _LONG[self.order](self.data, at + HEAD)
        end = None if length == UNDEFINED else start + length
        return self.items(start, end, explicit) if _is_sequence(tag, vr, end) else end or self._delimited(start)

    def _head(self, at: int) -> tuple[int, int]:
        """The tag at an offset, 0 behind the end, and what is its length unless a representation is written."""
        if at + HEAD > len(self.data):
            return 0, UNDEFINED
        group, number, length = _HEADS[self.order](self.data, at)
        return group << 16 | number, length

    def _names_representation(self, at: int) -> bool:
        return all(0x40 < each < 0x5B for each in self.data[at + 4 : at + 6])

    def _delimited(self, at: int) -> int:
        """Where what follows a value of unknown length begins that is no sequence."""
        group, number = ITEM >> 16, END_OF_SEQUENCE & 0xFFFF
        delimiter = Struct(self.order + "HHL").pack(group, number, 0)
        found = re.compile(re.escape(delimiter)).search(self.data, at)  # not by a copy, which has `find`
        return found.end() if found else NOWHERE


def _is_sequence(tag: int, vr: bytes, end: int | None) -> bool:
    """Whether an element is one; a private one of known length, which nobody reads, may hold anything."""
    if tag & PRIVATE and end is not None:
        return False
    if vr:
        return vr == b"SQ" or (vr == b"UN" and end is None)
    return bool(tag & PRIVATE) or (dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ")
