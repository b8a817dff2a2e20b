"""Refuses JSON that is nested deeper than any document, before its parser sees it.

ijson keeps for each level the whole path to it: 20,000 brackets take a gigabyte, and 100,000 end the process.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

DEEPEST = 100
"""Lists and objects within each other; a document has five, and what describes an encoder a few more."""

ESCAPED = re.compile(rb"\\.", re.DOTALL)
QUOTE = ord('"')
OTHERS = bytes(set(range(256)) - {*b'"[]{}'})
TURNS = np.zeros(256, np.int8)
TURNS[[*b"[{"]], TURNS[[*b"]}"]] = 1, -1


class TooDeep(ValueError):
    """More than `DEEPEST` lists and objects within each other."""


class Shallow:
    """A stream of JSON from its beginning."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._depth, self._quoted, self._cut = 0, 0, b""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many.

        Raises:
            TooDeep: if they lie too deep.
        """
        data = self._source.read(size)
        self._look(self._cut + data)
        return data

    def _look(self, data: bytes) -> None:
        text = ESCAPED.sub(b"", data) if b"\\" in data else data
        self._cut = text[-1:] if text.endswith(b"\\") else b""  # what it escapes comes with the next bytes
        found = np.frombuffer(text.translate(None, OTHERS), np.uint8)
        quotes = np.cumsum(found == QUOTE) + self._quoted
        depths = np.cumsum(TURNS[found] * (quotes % 2 == 0)) + self._depth
        if found.size:
            self._depth, self._quoted = int(depths[-1]), int(quotes[-1] % 2)
        if depths.max(initial=0) > DEEPEST:
            raise TooDeep
