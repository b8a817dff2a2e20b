"""How far off the members of a cell are at least, compiled: sums over codes, a few coordinates at a time.

They may be added in any order, and fused: see the proof in `cbmir.index.bounds`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.index.cells import Cells
from cbmir.index.measure import compiled, reordered
from cbmir.types import FloatArray

Codes = npt.NDArray[np.uint8]

STAGE = 16
"""Coordinates after which it is asked how many members of a cell are still in."""
FEW = 1
"""So many are measured, and not bounded any further: to measure one costs as much as all codes of a cell."""
TOGETHER = 4
"""Coordinates added in one go: the sums are loaded and stored once for so many."""


@compiled
def bounded(
    cells: Cells,
    cell: int,
    place: FloatArray,
    ceiling: np.float32,
    sums: FloatArray,
    touched: npt.NDArray[np.int64],
) -> int:
    """Fill in sums of squares over some coordinates, float32 (size,): over all unless few are at most `ceiling`.

    Returns:
        How many are.
    """
    width, size = cells.codes.shape[1:]
    origin, step, codes = cells.origin[cell], cells.step[cell], cells.codes[cell]
    sums[:] = 0
    inside: int = size
    touched[0] += 1
    for start in range(0, width, STAGE):
        end = min(start + STAGE, width)
        whole = end - (end - start) % TOGETHER
        for axis in range(start, whole, TOGETHER):
            _add_four(sums, place[axis:whole], origin[axis:whole], step[axis:whole], codes[axis:whole])
        for axis in range(whole, end):
            _add(sums, place[axis] - origin[axis], step[axis], codes[axis])
        touched[1] += size * (end - start)
        inside = _count(sums, ceiling)
        if inside <= FEW:
            break
    return inside


@reordered
def _add_four(sums: FloatArray, place: FloatArray, origin: FloatArray, step: FloatArray, codes: Codes) -> None:
    """Add the squares of the first four coordinates."""
    here0, here1 = place[0] - origin[0], place[1] - origin[1]
    here2, here3 = place[2] - origin[2], place[3] - origin[3]
    step0, step1, step2, step3 = step[0], step[1], step[2], step[3]
    codes0, codes1, codes2, codes3 = codes[0], codes[1], codes[2], codes[3]
    for member in range(sums.shape[0]):
        off0 = here0 - step0 * np.float32(codes0[member])
        off1 = here1 - step1 * np.float32(codes1[member])
        off2 = here2 - step2 * np.float32(codes2[member])
        off3 = here3 - step3 * np.float32(codes3[member])
        sums[member] += off0 * off0 + off1 * off1 + off2 * off2 + off3 * off3


@reordered
def _add(sums: FloatArray, here: np.float32, step: np.float32, codes: Codes) -> None:
    """Add the squares of one coordinate."""
    for member in range(sums.shape[0]):
        off = here - step * np.float32(codes[member])
        sums[member] += off * off


@compiled
def _count(sums: FloatArray, ceiling: np.float32) -> int:
    inside = 0
    for member in range(sums.shape[0]):
        inside += sums[member] <= ceiling
    return inside
