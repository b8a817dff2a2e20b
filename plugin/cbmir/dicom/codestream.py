"""What a compressed frame says of itself, before a decoder trusts it (ISO 10918-1, 14495-1, 15444-1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

J2K_START = b"\xff\x4f\xff\x51"
"""SOC and SIZ, which begin a JPEG 2000 codestream; a JP2 file has boxes before it."""

JPEG_START = b"\xff\xd8"
FILL, START_OF_SCAN, JPEG_LS_FRAME = 0xFF, 0xDA, 0xF7
NO_FRAME = {0xC4, 0xC8, 0xCC}
"""DHT, JPG and DAC: among the numbers of the start-of-frame markers, but none."""

SEARCHED = 512
"""Bytes within which a JPEG 2000 codestream begins."""


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 frame; None if it is none of these or ends too early."""
    at = frame.find(J2K_START, 0, SEARCHED)
    if at >= 0 and len(frame) >= at + 24:
        columns, rows, left, top = struct.unpack_from(">4L", frame, at + 8)
        return rows - top, columns - left
    found = _start_of_frame(frame)
    return None if found is None else found[1:]


def jpeg_precision(frame: bytes) -> int | None:
    """Bits of a sample of a JPEG or JPEG-LS frame, of which the standards allow 2 to 16; None of anything else."""
    found = _start_of_frame(frame)
    return None if found is None else found[0]


def declares_sign(frame: bytes) -> bool:
    """Whether the samples of a JPEG 2000 frame's first component are signed (Ssiz, ISO 15444-1 A.5.1)."""
    at = frame.find(J2K_START, 0, SEARCHED)
    return at >= 0 and len(frame) > at + 42 and bool(frame[at + 42] & 0x80)


def _start_of_frame(frame: bytes) -> tuple[int, int, int] | None:
    """(precision, rows, columns) of a JPEG or JPEG-LS frame's header (ISO 10918-1 B.2.2)."""
    for marker, at, _ in _segments(frame):
        if marker == JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in NO_FRAME):
            precision, rows, columns = struct.unpack_from(">B2H", frame, at + 4)
            return precision, rows, columns
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, offset, length) of each segment of a JPEG up to its first scan; nothing of anything else."""
    at = len(JPEG_START) if frame.startswith(JPEG_START) else len(frame)
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == FILL:
            at += 1
            continue
        yield marker, at, length
        if marker == START_OF_SCAN:
            return
        at += 2 + length
