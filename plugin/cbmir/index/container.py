"""Arrays in one file, which is mapped and not read: all processes of a machine share one copy.

A line says `cbmir-index FORMAT LENGTH CRC`; a JSON header of so many bytes with that checksum follows; then the
arrays, each at a multiple of `ALIGNMENT`. The header has the stamp, the arrays' places, the file's size and the
arrays' checksum. Checksums are CRC-32, in hexadecimal digits. What is not just so is refused.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from cbmir.errors import BrokenFile, NotFound
from cbmir.files import written_whole
from cbmir.index.stamp import REMEDY, Stamp

MAGIC = "cbmir-index"
FORMAT = 1
ALIGNMENT = 64
LONGEST_LINE = 64
Arrays = Mapping[str, npt.NDArray[Any]]


def write(path: Path, stamp: Stamp, arrays: Arrays, **told: Any) -> None:
    """Put arrays in place of the file, whole or not at all; who has the old one mapped keeps it.

    Args:
        path: its place.
        stamp: what they were made from.
        arrays: contiguous.
        told: what else the header says, as JSON.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it.
        cbmir.errors.Unavailable: if it cannot be written for another reason.
    """
    described, end = _places(arrays)
    crc = f"{_checksum(arrays):08x}"
    header = orjson.dumps({"stamp": asdict(stamp), **told, "arrays": described, "end": end, "crc": crc})
    with written_whole(path) as stream:
        stream.write(f"{MAGIC} {FORMAT} {len(header)} {zlib.crc32(header):08x}\n".encode())
        stream.write(header)
        start = aligned(stream.tell())
        for array, place in zip(arrays.values(), described.values(), strict=True):
            _pad(stream, start + place["offset"])
            stream.write(array.reshape(-1).view(np.uint8).data)


@dataclass(frozen=True)
class Container:
    """A mapped file whose header is sound; its arrays begin at `start`."""

    name: str
    mapped: mmap.mmap
    start: int
    header: Mapping[str, Any]

    @property
    def stamp(self) -> Stamp:
        """What it was made from."""
        return Stamp.from_json(self.header["stamp"])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What it holds, read-only and not copied.

        Raises:
            ValueError, KeyError, TypeError: if they are not what the header says.
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


def opened(path: Path, encoder_id: str) -> Container:
    """Map a file; its pages are read when they are first looked at, once for all processes.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BrokenFile: if it is cut short, changed, of another format, or of another encoder.
    """
    try:
        with path.open("rb") as stream:
            found = _opened(path.name, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
            foreign = found.stamp.encoder_id != encoder_id
    except FileNotFoundError as error:
        raise NotFound(f"There is no index file {path.name}.", REMEDY) from error
    except (ValueError, KeyError, TypeError, OSError) as error:  # an empty file is a ValueError, too
        raise BrokenFile(
            f"The index file {path.name} is cut short, changed, or of another version.", REMEDY
        ) from error
    if foreign:
        raise BrokenFile(f"The index file {path.name} is of another encoder.", REMEDY)
    return found


def aligned(place: int) -> int:
    """The next place that an array may begin at."""
    return -(-place // ALIGNMENT) * ALIGNMENT


def damaged(path: Path) -> BrokenFile:
    """The error for a file whose arrays are not what its header says."""
    return BrokenFile(f"The index file {path.name} is damaged.", REMEDY)


def _places(arrays: Arrays) -> tuple[dict[str, dict[str, Any]], int]:
    """Type, shape and offset of each array behind the header, and where the last one ends."""
    places: dict[str, dict[str, Any]] = {}
    end = 0
    for name, array in arrays.items():
        places[name] = {"type": array.dtype.str, "shape": list(array.shape), "offset": aligned(end)}
        end = aligned(end) + array.nbytes
    return places, end


def _pad(stream: BinaryIO, place: int) -> None:
    stream.write(bytes(place - stream.tell()))


def _opened(name: str, mapped: mmap.mmap) -> Container:
    line = mapped[:LONGEST_LINE].partition(b"\n")[0]
    magic, version, length, checksum = line.decode("ascii").split(" ")
    header = mapped[len(line) + 1 : len(line) + 1 + int(length)]
    if (magic, int(version), checksum) != (MAGIC, FORMAT, f"{zlib.crc32(header):08x}"):
        raise ValueError("another format, or a changed header")
    told: dict[str, Any] = orjson.loads(header)
    start = aligned(len(line) + 1 + len(header))
    if len(mapped) != start + told["end"]:
        raise ValueError("cut short, or too long")
    return Container(name, mapped, start, told)


def _checksum(arrays: Arrays) -> int:
    crc = 0
    for array in arrays.values():
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return crc
