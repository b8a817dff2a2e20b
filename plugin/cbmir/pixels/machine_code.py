"""The passes of `cbmir.pixels.passes` as machine code; half a second to load, and 60 MB of memory."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled_for
from cbmir.types import ByteArray

_TABLE = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_CELLS = numba.types.Array(numba.uint16, 1, "C", readonly=True, aligned=False)  # as they lie in a file
_SHOWN, _COUNTS = numba.uint8[::1], numba.int64[::1]
_PIXELS, _MEANS = numba.types.Array(numba.uint8, 2, "C", readonly=True), numba.uint8[:, ::1]


def looked_up(table: ByteArray, cells: npt.NDArray[np.uint16]) -> ByteArray:
    """As `cbmir.pixels.passes.looked_up`."""
    shown = np.empty(cells.size, np.uint8)
    _look_up(table, cells.reshape(-1), shown)
    return shown.reshape(cells.shape)


def counts(cells: npt.NDArray[np.uint16], first: int, length: int) -> npt.NDArray[np.int64]:
    """As `cbmir.pixels.passes.counts`."""
    found = np.zeros(length, np.int64)
    _count(cells.reshape(-1), first, found)
    return found


def means(pixels: ByteArray, factor: int) -> ByteArray:
    """As `cbmir.pixels.passes.means`, of squares of at most 256 pixels a side."""
    rows, columns = pixels.shape
    shown = np.empty((rows // factor, columns // factor), np.uint8)
    _average(np.ascontiguousarray(pixels), factor, shown)
    return shown


@compiled_for(_TABLE, _CELLS, _SHOWN)
def _look_up(table: Any, cells: Any, shown: Any) -> None:
    for place in range(cells.size):
        shown[place] = table[cells[place]]


@compiled_for(_CELLS, numba.uint16, _COUNTS)
def _count(cells: Any, first: Any, found: Any) -> None:
    for place in range(cells.size):
        found[np.uint16(cells[place] - first)] += 1


@compiled_for(_PIXELS, numba.int64, _MEANS)
def _average(pixels: Any, factor: Any, shown: Any) -> None:
    """By the multiplication that Pillow has in place of the division, so that both round alike."""
    half, share = np.uint32(factor * factor // 2), np.uint32((1 << 24) // (factor * factor))
    sums = np.empty(pixels.shape[1], np.uint32)
    for row in range(shown.shape[0]):
        sums[:] = 0
        for below in range(factor):
            line = pixels[row * factor + below]
            for place in range(line.size):
                sums[place] = np.uint32(sums[place] + np.uint32(line[place]))
        line = shown[row]
        for place in range(line.size):
            total = half
            for beside in range(factor):
                total = np.uint32(total + sums[place * factor + beside])
            line[place] = (total * share) >> np.uint32(24)
