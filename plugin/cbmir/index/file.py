"""An exact index in one file, which is mapped and not read: all processes of a machine share one copy.

A line says `cbmir-index FORMAT LENGTH CRC`; a JSON header of so many bytes with that checksum follows; then the
arrays, each at a multiple of `ALIGNMENT`. The header has their places, the file's size and the arrays' checksum.
Checksums are CRC-32, in hexadecimal digits. What is not just so is refused.
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
from cbmir.index import cells
from cbmir.index.axes import Axes
from cbmir.index.cells import Cells
from cbmir.index.exact import ExactIndex

MAGIC = "cbmir-index"
FORMAT = 1
ALIGNMENT = 64
LONGEST_LINE = 64
REMEDY = "Build it anew: `cbmir index build`."
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Stamp:
    """What a file was made from.

    Attributes:
        encoder_id: whose features.
        generation: theirs; the file holds those of all generations up to this one.
        pipelines: the conversions that made their pictures.
    """

    encoder_id: str
    generation: int
    pipelines: tuple[str, ...]


def write(path: Path, stamp: Stamp, index: ExactIndex) -> None:
    """Put an index in place of the file, whole or not at all; who has the old one mapped keeps it.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it.
        cbmir.errors.Unavailable: if it cannot be written for another reason.
    """
    arrays = _arrays(index)
    described, end = _places(arrays)
    crc = f"{_checksum(arrays):08x}"
    header = orjson.dumps(
        {"stamp": asdict(stamp), "scale": index.along.scale, "arrays": described, "end": end, "crc": crc}
    )
    with written_whole(path) as stream:
        stream.write(f"{MAGIC} {FORMAT} {len(header)} {zlib.crc32(header):08x}\n".encode())
        stream.write(header)
        start = _aligned(stream.tell())
        for array, place in zip(arrays.values(), described.values(), strict=True):
            _pad(stream, start + place["offset"])
            stream.write(array.reshape(-1).view(np.uint8).data)


def read(path: Path, encoder_id: str) -> tuple[Stamp, ExactIndex]:
    """Map an index; its pages are read when they are first looked at, once for all processes.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BrokenFile: if it is cut short, changed, of another format, or of another encoder.
    """
    found = _mapped(path, encoder_id)
    try:
        return found.stamp, found.index()
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFile(f"The index file {path.name} is damaged.", REMEDY) from error


def read_stamp(path: Path, encoder_id: str) -> Stamp:
    """What a file says that it was made from; its arrays are not looked at.

    Raises:
        as `read`.
    """
    return _mapped(path, encoder_id).stamp


def _arrays(index: ExactIndex) -> dict[str, npt.NDArray[Any]]:
    own = {
        "by_id": index.ids,
        "rows": index.rows,
        "centre": index.along.centre,
        "directions": index.along.directions,
    }
    return {name: np.ascontiguousarray(array) for name, array in {**index.cells._asdict(), **own}.items()}


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


def _mapped(path: Path, encoder_id: str) -> _File:
    try:
        with path.open("rb") as stream:
            found = _opened(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as error:
        raise NotFound(f"There is no index file {path.name}.", REMEDY) from error
    except (ValueError, KeyError, TypeError, OSError) as error:  # an empty file is a ValueError, too
        raise BrokenFile(
            f"The index file {path.name} is cut short, changed, or of another version.", REMEDY
        ) from error
    if found.stamp.encoder_id != encoder_id:
        raise BrokenFile(f"The index file {path.name} is of another encoder.", REMEDY)
    return found


@dataclass(frozen=True)
class _File:
    """A mapped file whose header is sound; its arrays begin at `start`."""

    mapped: mmap.mmap
    start: int
    header: Mapping[str, Any]

    @property
    def stamp(self) -> Stamp:
        told = self.header["stamp"]
        return Stamp(told["encoder_id"], told["generation"], tuple(told["pipelines"]))

    def index(self) -> ExactIndex:
        arrays = {name: self._array(place) for name, place in self.header["arrays"].items()}
        if f"{_checksum(arrays):08x}" != self.header["crc"]:
            raise ValueError("changed arrays")
        members = Cells(**{name: arrays[name] for name in Cells._fields})
        along = Axes(arrays["centre"], arrays["directions"], self.header["scale"])
        return ExactIndex(cells.read_only(members), along, arrays["by_id"], arrays["rows"])

    def _array(self, place: Mapping[str, Any]) -> npt.NDArray[Any]:
        shape = tuple(place["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return np.empty(shape, place["type"])
        return np.frombuffer(self.mapped, place["type"], count, self.start + place["offset"]).reshape(shape)


def _opened(mapped: mmap.mmap) -> _File:
    line = mapped[:LONGEST_LINE].partition(b"\n")[0]
    magic, version, length, checksum = line.decode("ascii").split(" ")
    header = mapped[len(line) + 1 : len(line) + 1 + int(length)]
    if (magic, int(version), checksum) != (MAGIC, FORMAT, f"{zlib.crc32(header):08x}"):
        raise ValueError("another format, or a changed header")
    told: dict[str, Any] = orjson.loads(header)
    start = _aligned(len(line) + 1 + len(header))
    if len(mapped) != start + told["end"]:
        raise ValueError("cut short, or too long")
    return _File(mapped, start, told)


def _checksum(arrays: Arrays) -> int:
    crc = 0
    for array in arrays.values():
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return crc
