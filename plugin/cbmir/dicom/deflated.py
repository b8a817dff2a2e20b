"""The bytes of a deflated object behind its meta header (PS3.5 A.5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from cbmir.dicom.boundary import RESEND
from cbmir.errors import BrokenFile, UnsafeArchive

MAX_INFLATED = 512 * 1024**2
"""Bytes that a deflated object may inflate to: beyond that it is a bomb."""

PIECE = 1 << 20

ZLIB = b"\x78"
"""The first byte of a header of zlib, of the only window that anybody uses (RFC 1950 2.2)."""


def inflated(deflated: bytes | memoryview, name: str) -> Iterator[bytes]:
    """The inflated bytes, at most a megabyte at a time, of at most a megabyte at a time.

    Some writers leave the header of zlib in front, which PS3.5 A.5 does without: its first byte begins no data that
    a deflater writes.

    Raises:
        cbmir.errors.UnsafeArchive: if they are more than `MAX_INFLATED`.
        cbmir.errors.BrokenFile: if their end is missing.
    """
    wrapped = bytes(deflated[:1]) == ZLIB
    inflater, total = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS), 0
    for start in range(0, len(deflated), PIECE):
        rest: bytes | memoryview = deflated[start : start + PIECE]
        while len(rest) and not inflater.eof:
            piece = inflater.decompress(rest, PIECE)
            rest, total = inflater.unconsumed_tail, total + len(piece)
            if total > MAX_INFLATED:
                raise UnsafeArchive(f"{name} inflates to more than {MAX_INFLATED} bytes.", "Store it uncompressed.")
            yield piece
    yield inflater.flush()
    if not inflater.eof:
        raise BrokenFile(f"{name} is cut short: it is deflated, and its end is missing.", RESEND)
