"""Objects that were transferred as text: a carriage return was put before every line feed, wherever it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cbmir.dicom.elements import element_at
from cbmir.dicom.octets import Octets
from cbmir.errors import BrokenFile

RETURN, LINE_FEED = b"\r", b"\n"

MANY = 8
"""Line feeds of which each follows a carriage return by chance in none of 2 ** 64 files."""

PIECE = 1 << 20


def damage(name: str) -> BrokenFile:
    """What is said of such an object."""
    reason = f"{name} is damaged: each line feed in it follows a carriage return, as if it was transferred as text."
    return BrokenFile(reason, "Transfer it again, in binary mode.")


@contextmanager
def named(file: Octets, name: str) -> Iterator[None]:
    """Say of a file that is refused as broken that it was transferred as text, where it was."""
    try:
        yield
    except BrokenFile as error:
        if was_text(file):
            raise damage(name) from error
        raise


def was_text(file: Octets) -> bool:
    """Whether a file that cannot be understood was transferred as text."""
    return _returned(file) >= MANY


def outgrew(value: Octets, length: int, order: str, explicit: bool) -> bool:
    """Whether uncompressed pixels are longer than they promise by a byte for each line feed, all of these follow a
    carriage return, and no element begins where the pixels should end.

    Args:
        value: from their first byte to the end of the file.
        length: what they promise, in bytes.
        order: of bytes in elements, "<" or ">".
        explicit: whether value representations are written.
    """
    behind = value.length - length
    if behind < MANY or _follows(value.read(length, behind), order, explicit):
        return False
    return _returned(value) == behind


def _follows(rest: memoryview, order: str, explicit: bool) -> bool:
    """Whether the bytes behind pixels are an element that may stand there."""
    each = element_at(rest, 0, order, explicit)
    return each is not None and each[0] > 0x7FE00010 and each[4] <= len(rest)


def _returned(file: Octets) -> int:
    """How many line feeds follow a carriage return; 0 where any other does not."""
    total, last = 0, b""
    for at in range(0, file.length, PIECE):
        piece = last + bytes(file.read(at, PIECE))
        found = piece.count(RETURN + LINE_FEED)
        if found != piece.count(LINE_FEED):
            return 0
        total, last = total + found, RETURN if piece.endswith(RETURN) else b""
    return total
