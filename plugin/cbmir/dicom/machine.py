"""The passes of `cbmir.dicom.lookup` as machine code; half a second to load, and 60 MB of memory."""

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


def looked_up(table: ByteArray, cells: npt.NDArray[np.uint16]) -> ByteArray:
    """As `cbmir.dicom.lookup.looked_up`."""
    shown = np.empty(cells.size, np.uint8)
    _look_up(table, cells.reshape(-1), shown)
    return shown.reshape(cells.shape)


def counts(cells: npt.NDArray[np.uint16], first: int, length: int) -> npt.NDArray[np.int64]:
    """As `cbmir.dicom.lookup.counts`."""
    found = np.zeros(length, np.int64)
    _count(cells.reshape(-1), first, found)
    return found


@compiled_for(_TABLE, _CELLS, _SHOWN)
def _look_up(table: Any, cells: Any, shown: Any) -> None:
    for place in range(cells.size):
        shown[place] = table[cells[place]]


@compiled_for(_CELLS, numba.uint16, _COUNTS)
def _count(cells: Any, first: Any, found: Any) -> None:
    for place in range(cells.size):
        found[np.uint16(cells[place] - first)] += 1
