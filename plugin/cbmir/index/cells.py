"""Members in cells: boxes along the axes, and in them each member as 8-bit codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cbmir.index import axes, partition
from cbmir.index.axes import Axes, DoubleArray
from cbmir.index.bounds import UNIT
from cbmir.index.prefetch import LINE
from cbmir.types import FloatArray, IdArray

SIZE = 256
"""Members of one cell."""
LEVELS = 255
"""Steps from one side of a box to the other."""


class Cells(NamedTuple):
    """What is searched: n members of d numbers in c cells, along m axes; read-only. The last cell may not be full.

    Attributes:
        vectors: float32 (n, d), in the order of the cells.
        ids: int64 (n,), theirs.
        middle: float32 (m, c), of each cell's box.
        half: float32 (m, c), half of its width, rounded up.
        origin: float32 (c, m), its lowest corner.
        step: float32 (c, m): what one step of a code is worth.
        slack: float64 (c,): how far off a member's codes may be; see `cbmir.index.bounds`.
        codes: uint8 (c, m, size).
    """

    vectors: FloatArray
    ids: IdArray
    middle: FloatArray
    half: FloatArray
    origin: FloatArray
    step: FloatArray
    slack: DoubleArray
    codes: npt.NDArray[np.uint8]


def build(ids: IdArray, vectors: FloatArray, along: Axes, size: int = SIZE) -> Cells:
    """Put members into cells.

    Args:
        ids: int64 (n,), each once.
        vectors: float32 (n, d).
        along: the axes, of these vectors.
        size: of a cell.
    """
    coordinates = np.empty((len(vectors), along.coordinates), np.float32)
    for some in axes.pieces(*vectors.shape):
        coordinates[some] = along.along(vectors[some])
    rows = partition.order(coordinates, size)
    coordinates = coordinates[rows]
    origin, step = _boxes(coordinates, size)
    codes, slack = _codes(coordinates, origin, step, size)
    middle, half = _middles(origin, step)
    placed = on_lines(vectors.shape, np.float32)
    np.take(vectors, rows, axis=0, out=placed, mode="clip")  # which, unlike the default, makes no copy besides
    return read_only(Cells(placed, ids[rows], middle, half, origin, step, slack, codes))


def read_only(cells: Cells) -> Cells:
    """The same, protected from change: as arrays that are mapped from a file are."""
    for array in cells:
        array.flags.writeable = False
    return cells


def on_lines(shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array, not filled in, that begins where a cache line does, as in a file: rows lie on fewer lines so."""
    room = np.empty(int(np.prod(shape)) * np.dtype(kind).itemsize + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + len(room) - LINE].view(kind).reshape(shape)


def _boxes(coordinates: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    starts = np.arange(0, len(coordinates), size)
    if not len(starts):
        return coordinates, coordinates
    lowest = np.minimum.reduceat(coordinates, starts)
    highest = np.maximum.reduceat(coordinates, starts)
    step: FloatArray = ((highest - lowest) / np.float32(LEVELS)).astype(np.float32)
    return lowest, step


def _codes(
    coordinates: FloatArray, origin: FloatArray, step: FloatArray, size: int
) -> tuple[npt.NDArray[np.uint8], DoubleArray]:
    """Codes uint8 (c, m, size) and slack float64 (c,)."""
    count, width = origin.shape
    codes = on_lines((count, width, size), np.uint8)
    codes[-1:] = 0
    slack = np.empty(count, np.float64)
    for cell in range(count):
        members = coordinates[cell * size : (cell + 1) * size].astype(np.float64)
        steps, corner = step[cell].astype(np.float64), origin[cell].astype(np.float64)
        near = np.divide(members - corner, steps, out=np.zeros_like(members), where=steps > 0)
        coded = np.clip(np.rint(near), 0, LEVELS)
        codes[cell, :, : len(members)] = coded.T
        off = np.linalg.norm(members - (corner + steps * coded), axis=1).max()
        slack[cell] = off * (1 + 1e-9) + 2 * UNIT + 4 * UNIT * np.linalg.norm(steps) * LEVELS
    return codes, slack


def _middles(origin: FloatArray, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Middle and half width, float32 (m, c), of boxes that hold all that can be coded."""
    lowest = origin.astype(np.float64)
    highest = lowest + LEVELS * step.astype(np.float64)
    middle = ((lowest + highest) / 2).astype(np.float32)
    half = np.maximum(highest - middle, middle - lowest).astype(np.float32)
    half = np.nextafter(half, np.float32(np.inf))
    return np.ascontiguousarray(middle.T), np.ascontiguousarray(half.T)
