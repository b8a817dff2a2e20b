"""The pictures of a training: read and prepared once, kept as bytes in one file, mapped into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cbmir.encoders.base import Preprocessing
from cbmir.errors import BrokenFile, NotFound
from cbmir.files import write_whole, written_whole
from cbmir.progress import Progress
from cbmir.types import ByteArray

READ_TOGETHER = 256
"""Pictures in flight while the file is made: bounds memory."""


@dataclass(frozen=True)
class PreparedPictures:
    """All pictures of a training.

    Attributes:
        values: uint8, shape (n, channels, side, side), mapped from a file: memory is taken only as far as it is
            free, so that a million pictures of 64 x 64 (4 GB) may be trained on with less.
        unreadable: rows, ascending, whose picture was missing or damaged; their values are 0 and are not for use.
    """

    values: ByteArray
    unreadable: tuple[int, ...]


def prepare(
    folder: Path,
    keys: Sequence[str],
    read: Callable[[str], ByteArray],
    preprocessing: Preprocessing,
    threads: int,
    progress: Progress,
) -> PreparedPictures:
    """Read and prepare all pictures, or open the file that an earlier start has made.

    Args:
        folder: of this training; gets the two files `pictures.npy` and `unreadable.json`.
        keys: of the pictures, in the order of the rows.
        read: gives the picture of a key: uint8 (rows, columns) or (rows, columns, 3).
        preprocessing: what is done to each.
        threads: that read at once.
        progress: told after every few pictures.

    Raises:
        cbmir.errors.DiskFull: if the file does not fit.
        cbmir.errors.JobCancelled: if the job should stop.
    """
    path, beside = folder / "pictures.npy", folder / "unreadable.json"
    if not path.exists():
        with written_whole(path) as stream:
            unreadable = _write(stream, keys, read, preprocessing, threads, progress)
            write_whole(beside, json.dumps(unreadable).encode())
    values: ByteArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return PreparedPictures(values, tuple(json.loads(beside.read_bytes())))


def _write(
    stream: BinaryIO,
    keys: Sequence[str],
    read: Callable[[str], ByteArray],
    preprocessing: Preprocessing,
    threads: int,
    progress: Progress,
) -> list[int]:
    shape = (preprocessing.channels, preprocessing.side, preprocessing.side)
    np.lib.format.write_array_header_1_0(stream, _header((len(keys), *shape)))
    unreadable = []
    for row, picture in enumerate(_in_order(keys, read, preprocessing, threads)):
        if picture is None:
            unreadable.append(row)
        stream.write(np.zeros(shape, np.uint8).tobytes() if picture is None else picture.tobytes())
        progress.update(row + 1, len(keys), "reading pictures")
    return unreadable


def _header(shape: tuple[int, ...]) -> dict[str, object]:
    return {"descr": "|u1", "fortran_order": False, "shape": shape}


def _in_order(
    keys: Sequence[str], read: Callable[[str], ByteArray], preprocessing: Preprocessing, threads: int
) -> Iterator[ByteArray | None]:
    def one(key: str) -> ByteArray | None:
        try:
            return preprocessing.resized(read(key))
        except (NotFound, BrokenFile, OSError):
            return None

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(keys), READ_TOGETHER):
            yield from pool.map(one, keys[start : start + READ_TOGETHER])


def usable(rows: npt.NDArray[np.int64], pictures: PreparedPictures) -> npt.NDArray[np.int64]:
    """Those of `rows` whose picture could be read, int64, in the same order."""
    return rows[~np.isin(rows, pictures.unreadable)]
