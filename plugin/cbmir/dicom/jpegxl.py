"""What a JPEG XL frame says of itself, before a decoder makes room for it (ISO/IEC 18181-1 D, 18181-2 9)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

START = b"\xff\x0a"
"""Begins a codestream."""

SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
"""The first box of a file, in which a codestream may be wrapped, whole or in parts."""

WHOLE, PART, NUMBER = b"jxlc", b"jxlp", 4
"""Boxes of a whole codestream, and of a part of one behind its number of so many bytes."""

JPEG = b"jbrd"
"""The box of what a JPEG had beside its coefficients (18181-2 9.7)."""

HEAD = 64
"""Bytes of a codestream in which what is read here ends: 23 at most."""

MAX_BOXES = 1000
"""Boxes that are looked at."""

RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Columns to rows, where a header gives these two in so few bits (D.2)."""

Choice = tuple[int, int]
"""The lowest of the values that can be had, and bits of what is added to it."""

SIDE: tuple[Choice, ...] = ((1, 9), (1, 13), (1, 18), (1, 30))
WHOLE_BITS: tuple[Choice, ...] = ((8, 0), (10, 0), (12, 0), (1, 6))
EXTRAS: tuple[Choice, ...] = ((0, 0), (1, 0), (2, 4), (1, 12))
SPACES: tuple[Choice, ...] = ((0, 0), (1, 0), (2, 4), (18, 6))
GREY = 1
"""Among the colour spaces (E.2)."""


@dataclass(frozen=True)
class Header:
    """Sides in pixels, samples of a pixel, and bits of a sample; these are unsigned."""

    rows: int
    columns: int
    samples: int
    bits: int


def is_one(frame: bytes) -> bool:
    """Whether it begins as a JPEG XL frame does, bare or in boxes."""
    return frame.startswith((START, SIGNATURE))


def header(frame: bytes) -> Header:
    """Read SizeHeader and ImageMetadata (D.2, D.3).

    Raises:
        ValueError: if no decoder may see the frame; says why, to go on after "frame 1".
    """
    if not is_one(frame):
        raise ValueError("is no JPEG XL codestream")
    head = b"".join(islice(_codestream(frame), HEAD))[:HEAD]
    if not head.startswith(START):
        raise ValueError("has no JPEG XL codestream in its boxes")
    return _header(_Bits(head[len(START) :]))


def fault(frame: bytes) -> str:
    """Why no decoder may see a frame, to go on after "frame 1"; empty if one may."""
    try:
        header(frame)
    except ValueError as error:
        return str(error)
    return ""


def holds_jpeg(frame: bytes) -> bool:
    """Whether a box tells how to make the JPEG again that was compressed once more."""
    return frame.startswith(SIGNATURE) and any(kind == JPEG for kind, _, _ in islice(_boxes(frame), MAX_BOXES))


class _Bits:
    """Bits of a header, the lowest of each byte first (B.2)."""

    def __init__(self, data: bytes) -> None:
        self.left, self.count = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, bits: int) -> int:
        """u(bits)."""
        if bits > self.count:
            raise ValueError("does not say how large it is")
        taken = self.left & ((1 << bits) - 1)
        self.left, self.count = self.left >> bits, self.count - bits
        return taken

    def choose(self, choices: tuple[Choice, ...]) -> int:
        """U32: two bits choose how the value is written."""
        lowest, bits = choices[self.take(2)]
        return lowest + self.take(bits)


def _codestream(frame: bytes) -> Iterator[bytes]:
    """The first bytes of each part of the codestream, in their order."""
    if frame.startswith(START):
        yield frame[:HEAD]
        return
    for kind, start, end in islice(_boxes(frame), MAX_BOXES):
        first = start + (NUMBER if kind == PART else 0)
        if kind in (WHOLE, PART):
            yield frame[first : min(first + HEAD, end)]


def _boxes(frame: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the contents of each box."""
    at = 0
    while at + 8 <= len(frame):
        length, kind = struct.unpack_from(">L4s", frame, at)
        start = at + 8
        if length == 1 and at + 16 <= len(frame):
            (length,) = struct.unpack_from(">Q", frame, at + 8)
            start = at + 16
        end = at + length if length else len(frame)
        if end < start:
            return
        yield kind, start, end
        at = end


def _header(bits: _Bits) -> Header:
    rows, columns = _size(bits)
    if bits.take(1):  # all as usual
        return Header(rows, columns, 3, 8)
    if bits.take(1):
        _pass_over_extra_fields(bits)
    if bits.take(1):
        raise ValueError("holds floating point samples")
    depth = bits.choose(WHOLE_BITS)
    bits.take(1)  # whether 16 bits are enough for what a decoder computes
    if bits.choose(EXTRAS):
        raise ValueError("has a channel beside its colours")
    bits.take(1)  # XYB, which its decoder undoes
    return Header(rows, columns, _samples(bits), depth)


def _size(bits: _Bits) -> tuple[int, int]:
    """Rows and columns (SizeHeader, D.2)."""
    eights = bits.take(1)
    rows = _side(bits, eights)
    if ratio := bits.take(3):
        across, down = RATIOS[ratio - 1]
        return rows, rows * across // down
    return rows, _side(bits, eights)


def _side(bits: _Bits, eights: int) -> int:
    return 8 * (bits.take(5) + 1) if eights else bits.choose(SIDE)


def _pass_over_extra_fields(bits: _Bits) -> None:
    """Orientation, which is the object's own to tell, and the size to show it in; no preview, no animation."""
    bits.take(3)
    if bits.take(1):
        _size(bits)
    if bits.take(2):
        raise ValueError("holds more than one picture")


def _samples(bits: _Bits) -> int:
    """Of a pixel, by the colour space (ColourEncoding, E.2)."""
    if bits.take(1):  # sRGB
        return 3
    bits.take(1)  # whether a colour profile follows
    return 1 if bits.choose(SPACES) == GREY else 3
