"""Where each compressed frame lies among the fragments of encapsulated pixels (PS3.5 A.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from pydicom.encaps import parse_basic_offsets, parse_fragments

from cbmir.dicom import jpeg2000, jpegxl, values
from cbmir.dicom.boundary import RESEND, translated
from cbmir.dicom.codestream import JPEG_START, likely_syntax
from cbmir.dicom.octets import Octets
from cbmir.dicom.read import DicomObject
from cbmir.errors import BrokenFile

ITEM = 8
"""Bytes of an item's tag and length."""

BARE = (JPEG_START, jpeg2000.START, jpegxl.START, jpegxl.SIGNATURE)
"""What the only frame begins with where a writer left out the items around it."""

FIRST = 64 * 1024
"""Bytes of a frame that tell what it is."""

END_OF_IMAGE = b"\xff\xd9"
"""Ends a frame of JPEG, JPEG-LS and JPEG 2000, but for a byte or two of padding."""

TAIL = 10
"""Bytes at the end of a fragment in which that mark is looked for: padding or a delimiter may follow it."""

Span = tuple[int, int]
"""Offset and length in bytes of a fragment within the pixel element's value."""


@dataclass(frozen=True)
class Fragments:
    """The compressed frames of an object: each is one fragment or several."""

    pixels: Octets
    frames: list[list[Span]]

    def frame(self, index: int) -> bytes:
        """The compressed frame at `index` (0-based)."""
        return b"".join(bytes(self.pixels.read(*span)) for span in self.frames[index])


def find_fragments(found: DicomObject, count: int, name: str) -> Fragments:
    """Find the frames: one a fragment, or by an offset table, or by the marks that end an image; or a bare one.

    Args:
        found: an object in a compressed transfer syntax.
        count: how many frames its header promises.
        name: for the error's reason.

    Raises:
        cbmir.errors.BrokenFile: if there are no items, the last one is cut short, or they are not `count` frames.
    """
    pixels = found.pixels
    if count == 1 and bytes(pixels.read(0, 12)).startswith(BARE):
        return Fragments(pixels, [[(0, pixels.length)]])
    with translated(f"{name} has no frame 1 that could be found in its compressed pixel data"):
        lacks_table = _lacks_table(pixels)  # which moves the file's position
        stream = pixels.opened()
        table = [] if lacks_table else parse_basic_offsets(stream)
        first = stream.tell() - pixels.start
        spans = _spans(pixels, first)
        _check_end(pixels, spans, name)
    offsets = _extended(found) or table
    return Fragments(pixels, _grouped(pixels, spans, count, [first + each for each in offsets], name))


def bare_syntax(pixels: Octets) -> str:
    """The transfer syntax of the only frame where a writer left out the items around it; empty if it is none."""
    head = bytes(pixels.read(0, FIRST))
    return likely_syntax(head) if head.startswith(BARE) else ""


def _lacks_table(pixels: Octets) -> bool:
    """Whether the first item is a frame, and no offset table, which begins with 0 or is empty (PS3.5 A.4)."""
    return bytes(pixels.read(ITEM, 12)).startswith(BARE)


def _spans(pixels: Octets, first: int) -> list[Span]:
    """The fragments behind the offset table."""
    _, starts = parse_fragments(pixels.stream)
    found = [start - pixels.start for start in starts]
    found = [each for each in found if first <= each <= pixels.length - ITEM]
    spans = [(one + ITEM, other - one - ITEM) for one, other in pairwise(found)]
    if found:
        (last,) = struct.unpack("<L", pixels.read(found[-1] + 4, 4))
        spans.append((found[-1] + ITEM, last))
    return spans


def _check_end(pixels: Octets, spans: list[Span], name: str) -> None:
    """Cut a last fragment that promises too much where the file ends, if its image has ended by then."""
    if not spans or sum(spans[-1]) <= pixels.length:
        return
    start, promised = spans[-1]
    there = pixels.length - start
    if not _ends(pixels, start, there):
        reason = f"{name} is cut short: its last compressed fragment promises {promised} bytes and has {there}."
        raise BrokenFile(reason, RESEND)
    spans[-1] = (start, there)


def _ends(pixels: Octets, start: int, length: int) -> bool:
    """Whether a fragment's last bytes hold the mark that ends an image, a delimiter behind it not counted."""
    return END_OF_IMAGE in _tail(pixels, start, length)


def _tail(pixels: Octets, start: int, length: int) -> bytes:
    """A fragment's last bytes."""
    tail = min(length, TAIL)
    return bytes(pixels.read(start + length - tail, tail))


def _extended(found: DicomObject) -> list[int]:
    """The Extended Offset Table (7FE0,0001): 64-bit offsets; empty where there is none."""
    data = values.octets(found.dataset, "ExtendedOffsetTable")
    return list(struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8]))


def _grouped(pixels: Octets, spans: list[Span], count: int, offsets: list[int], name: str) -> list[list[Span]]:
    if len(spans) == count:
        return [[span] for span in spans]
    if count == 1 and spans:
        return [spans]
    for groups in (_by_table(spans, offsets), _by_marks(pixels, spans)):
        if len(groups) == count:
            return groups
    reason = f"{name} promises {count} frame(s), and its compressed pixels are {len(spans)} fragment(s)"
    raise BrokenFile(f"{reason} that cannot be told apart.", RESEND)


def _by_table(spans: list[Span], offsets: list[int]) -> list[list[Span]]:
    """Fragments by the frame that an offset table says begins with them; offsets are of items."""
    starts, groups = set(offsets), []
    for span in spans:
        if span[0] - ITEM in starts:
            groups.append([span])
        elif groups:
            groups[-1].append(span)
    return groups


def _by_marks(pixels: Octets, spans: list[Span]) -> list[list[Span]]:
    """Fragments by frame, where each frame's last one holds the mark that ends an image, or completes it."""
    groups: list[list[Span]] = [[]]
    tail = b""
    for start, length in spans:
        groups[-1].append((start, length))
        tail = (tail + _tail(pixels, start, length))[-TAIL:]
        if END_OF_IMAGE in tail:
            groups.append([])
            tail = b""
    return [group for group in groups if group]
