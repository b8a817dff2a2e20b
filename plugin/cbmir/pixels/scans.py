"""How many passes over its pixels a JPEG asks for: a few bytes each, and any number of them (ISO 10918-1 B.2.3)."""

from __future__ import annotations

import re

import numpy as np

MAX_SCANS = 32
"""Scans of a JPEG that is decoded: a progressive one has ten, and each takes a pass over all pixels."""

START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"

_START = np.frombuffer(START_OF_SCAN, np.uint16)[0]
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""A marker with a segment, or the end: within a scan these two bytes are no data."""


def too_many(jpeg: bytes) -> str:
    """Why no decoder may see a JPEG image, to go on after its name; empty if one may.

    Segments are walked only where the two bytes that begin a scan are there too often: a profile may hold them.
    """
    if _starts(jpeg) <= MAX_SCANS:
        return ""
    count = scans(jpeg)
    return f"has {count} scans" if count > MAX_SCANS else ""


def _starts(jpeg: bytes) -> int:
    """How often the two bytes that begin a scan are there, as words at even places and at odd ones: a third of the
    time of a search for them."""
    places = (np.frombuffer(jpeg, np.uint16, (len(jpeg) - first) // 2, first) for first in (0, 1))
    return sum(int(np.count_nonzero(words == _START)) for words in places)


def scans(jpeg: bytes) -> int:
    """The scans up to the image's end; what lies within other segments is not looked at."""
    count = at = 0
    while (found := _SEGMENT.search(jpeg, at)) and found[0] != END_OF_IMAGE:
        count += found[0] == START_OF_SCAN
        at = found.end() + max(2, int.from_bytes(jpeg[found.end() : found.end() + 2], "big"))
    return count
