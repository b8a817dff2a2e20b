"""Arrays in one file, which is mapped and not read: all processes of a machine share one copy.

A line says `KIND FORMAT LENGTH CRC`; a JSON header of so many bytes with that checksum follows; then the arrays,
each at a multiple of `ALIGNMENT`. The header has their places, the file's size, the arrays' checksum, and what the
writer tells besides. Checksums are CRC-32, in hexadecimal digits. What is not just so is refused.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt
import orjson

from cbmir.errors import BrokenFile, NotFound
from cbmir.files import written_whole

ALIGNMENT = 64
LONGEST_LINE = 64
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Kind:
    """What a file holds.

    Attributes:
        name: the first word of such files, ASCII without a space.
        format: a number that changes with what the arrays mean.
        noun: what messages call it, such as `index file`.
        remedy: what helps where one is missing or damaged.
    """

    name: str
    format: int
    noun: str
    remedy: str


@dataclass(frozen=True)
class Container:
    """A mapped file whose header is sound; its arrays begin at `start`."""

    mapped: mmap.mmap
    start: int
    header: Mapping[str, Any]

    @property
    def told(self) -> Mapping[str, Any]:
        """What its writer told besides."""
        told: Mapping[str, Any] = self.header["told"]
        return told

    def arrays(self) -> Arrays:
        """All of them, read-only.

        Raises:
            ValueError: if their checksum is another.
        """
        arrays = {name: self._array(place) for name, place in self.header["arrays"].items()}
        if f"{_checksum(arrays):08x}" != self.header["crc"]:
            raise ValueError("changed arrays")
        return arrays

    def _array(self, place: Mapping[str, Any]) -> npt.NDArray[Any]:
        shape = tuple(place["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return np.empty(shape, place["type"])
        return np.frombuffer(self.mapped, place["type"], count, self.start + place["offset"]).reshape(shape)


def write(path: Path, kind: Kind, told: Mapping[str, Any], arrays: Arrays) -> None:
    """Put arrays in place of the file, whole or not at all; who has the old one mapped keeps it.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it.
        cbmir.errors.Unavailable: if it cannot be written for another reason.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    described, end = _places(arrays)
    crc = f"{_checksum(arrays):08x}"
    header = orjson.dumps({"told": told, "arrays": described, "end": end, "crc": crc})
    with written_whole(path) as stream:
        stream.write(f"{kind.name} {kind.format} {len(header)} {zlib.crc32(header):08x}\n".encode())
        stream.write(header)
        start = _aligned(stream.tell())
        for array, place in zip(arrays.values(), described.values(), strict=True):
            _pad(stream, start + place["offset"])
            stream.write(array.reshape(-1).view(np.uint8).data)


def read(path: Path, kind: Kind) -> Container:
    """Map a file; its pages are read when they are first looked at, once for all processes.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BrokenFile: if it is cut short, or its header is changed or of another kind or format.
    """
    try:
        with path.open("rb") as stream:
            return _opened(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), kind)
    except FileNotFoundError as error:
        raise NotFound(f"There is no {kind.noun} {path.name}.", kind.remedy) from error
    except (ValueError, KeyError, TypeError, OSError) as error:  # an empty file is a ValueError, too
        raise BrokenFile(
            f"The {kind.noun} {path.name} is cut short, changed, or of another version.", kind.remedy
        ) from error


def _opened(mapped: mmap.mmap, kind: Kind) -> Container:
    line = mapped[:LONGEST_LINE].partition(b"\n")[0]
    name, version, length, checksum = line.decode("ascii").split(" ")
    header = mapped[len(line) + 1 : len(line) + 1 + int(length)]
    if (name, int(version), checksum) != (kind.name, kind.format, f"{zlib.crc32(header):08x}"):
        raise ValueError("another format, or a changed header")
    found: dict[str, Any] = orjson.loads(header)
    start = _aligned(len(line) + 1 + len(header))
    if len(mapped) != start + found["end"]:
        raise ValueError("cut short, or too long")
    return Container(mapped, start, found)


def _places(arrays: Arrays) -> tuple[dict[str, dict[str, Any]], int]:
    """Type, shape and offset of each array behind the header, and where the last one ends."""
    places: dict[str, dict[str, Any]] = {}
    end = 0
    for name, array in arrays.items():
        places[name] = {"type": array.dtype.str, "shape": list(array.shape), "offset": _aligned(end)}
        end = _aligned(end) + array.nbytes
    return places, end


def _aligned(place: int) -> int:
    return -(-place // ALIGNMENT) * ALIGNMENT


def _pad(stream: BinaryIO, place: int) -> None:
    stream.write(bytes(place - stream.tell()))


def _checksum(arrays: Arrays) -> int:
    crc = 0
    for array in arrays.values():
        content: Any = array.reshape(-1).view(np.uint8)
        # libdeflate's: the same number as zlib's in a fifth of its time
        crc = imagecodecs.deflate_crc32(content, crc) if content.size else crc
    return crc
