"""A stream that pydicom parses, and that stops it where an object would cost far more than its bytes."""

from __future__ import annotations

import re
from typing import BinaryIO, Literal

from cbmir.dicom.boundary import RESEND
from cbmir.errors import BrokenFile, UnsafeArchive

ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""The tag of an item, in both byte orders (PS3.5 7.5)."""

CHARACTER_SETS = (b"\x08\x00\x05\x00", b"\x00\x08\x00\x05")
"""The tag of Specific Character Set, which pydicom looks up value by value as it reads."""

HEAD = 8
"""Bytes of a tag and its length: pydicom reads so many at a time where an element or an item begins."""

MOST = 600_000
"""Elements of an object, unless it has `BYTES` for each; pydicom takes about 6 microseconds for one."""

BYTES = 64

ITEM_COST = 4
"""Elements that an item costs as much as, which is a dataset of its own."""

MAX_CHARACTER_SETS = 1024
"""Bytes of that element."""


_SETS = re.compile(rb"\x08\0\x05\0(....)|\0\x08\0\x05(....)", re.DOTALL)


def explodes(items: bytes) -> bool:
    """Whether the bytes of a sequence hold more items than they explain, or character sets without end."""
    if sum(items.count(each) for each in ITEMS) * ITEM_COST > limit(len(items)):
        return True
    return any(
        _is_long(each[1] or b"", "little") or _is_long(each[2] or b"", "big") for each in _SETS.finditer(items)
    )


def _is_long(length: bytes, order: Literal["little", "big"]) -> bool:
    """Whether four bytes behind a tag are a length, and not CS and a short one, and are more than is sensible."""
    return not length.startswith(b"CS") and int.from_bytes(length, order) > MAX_CHARACTER_SETS


def limit(length: int) -> int:
    """The most elements of so many bytes."""
    return max(MOST, length // BYTES)


class Watched:
    """Reads what `stream` reads.

    Args:
        stream: at its start.
        length: of it, in bytes.
        name: what the user calls it.
        most: bytes from the start within which pydicom must be done; None for no such bound.
    """

    def __init__(self, stream: BinaryIO, length: int, name: str, most: int | None = None) -> None:
        self.seek, self.tell = stream.seek, stream.tell
        self._read, self._left, self._name = stream.read, limit(length), name
        self._length, self._most = length, most
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        """As a file does.

        Raises:
            cbmir.errors.BrokenFile: at an element too many, or character sets without end.
            cbmir.errors.UnsafeArchive: behind `most`.
        """
        if self._most is not None:
            self._stay_before(self._most, size)
        if size == HEAD:
            self._last = head = self._read(size)
            self._left -= ITEM_COST if head[:4] in ITEMS else 1
            if self._left < 0:
                raise BrokenFile(f"{self._name} has more elements than its size explains.", RESEND)
            return head
        if size > MAX_CHARACTER_SETS and self._last[:4] in CHARACTER_SETS:
            raise BrokenFile(f"{self._name} names {size} bytes of character sets.", RESEND)
        self._last = b""
        return self._read(size)

    def _stay_before(self, most: int, size: int) -> None:
        end = self._length if size < 0 else min(self.tell() + size, self._length)
        if end > most:
            raise UnsafeArchive(f"{self._name} inflates to a header of {end} bytes.", "Store it uncompressed.")
