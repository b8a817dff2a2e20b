"""A stretch of a file that is read only where somebody looks: pixels of many gigabytes stay on disk."""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_END, BytesIO
from typing import BinaryIO


@dataclass(frozen=True)
class Octets:
    """The bytes from `start` to the end of the stretch.

    Attributes:
        stream: seekable; of a file in memory its bytes are `memory` too, and slices of it cost nothing.
        start, length: in bytes.
    """

    stream: BinaryIO
    start: int
    length: int
    memory: memoryview | None = None

    @classmethod
    def of(cls, source: bytes | BinaryIO) -> Octets:
        """A whole file: its bytes, or an open seekable one."""
        if isinstance(source, bytes):
            return cls(BytesIO(source), 0, len(source), memoryview(source))
        return cls(source, 0, source.seek(0, SEEK_END))

    def part(self, start: int, length: int | None = None) -> Octets:
        """The part from `start` on, cut where this stretch ends."""
        rest = max(0, self.length - start)
        return Octets(self.stream, self.start + start, rest if length is None else min(length, rest), self.memory)

    def read(self, start: int = 0, length: int | None = None) -> memoryview:
        """At most `length` bytes from `start` on; fewer where the stretch ends."""
        part = self.part(start, length)
        if part.memory is not None:
            return part.memory[part.start : part.start + part.length]
        self.stream.seek(part.start)
        return memoryview(self.stream.read(part.length))

    def opened(self) -> BinaryIO:
        """The stream, at the start of the stretch."""
        self.stream.seek(self.start)
        return self.stream
