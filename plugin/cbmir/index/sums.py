"""How far off the members of a cell are at least, compiled: sums over codes, a few coordinates at a time.

They may be added in any order, and fused: see the proof in `cbmir.index.bounds`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled, reordered, woven
from cbmir.index.cells import Cells
from cbmir.index.prefetch import LINE, prefetch_beyond
from cbmir.types import FloatArray

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

TOGETHER = 8
"""Coordinates added before it is counted who is still inside."""
AT_ONCE = 4
"""Coordinates added in one go: the sums are loaded and stored once for so many."""


@compiled
def start(sums: FloatArray, kept: Mask, first: int, members: int) -> None:
    """Set the sums of a cell, float32 (size,), to 0, and of those who do not count to NaN: those stay so, and out.

    Args:
        sums: filled in.
        kept: who counts, bool (members,), or empty for all.
        first: the row of the cell's first member.
        members: of all cells; the last one may not be full.
    """
    there = min(sums.shape[0], members - first)
    sums[:there] = 0
    sums[there:] = np.nan
    if kept.shape[0]:
        counts = kept[first : first + there]
        for member in range(there):  # without a branch: several are set at once
            sums[member] = np.float32(0) if counts[member] else np.float32(np.nan)


@reordered
def bounded(
    cells: Cells,
    cell: int,
    following: int,
    place: FloatArray,
    axes: Numbers,
    ceiling: np.float32,
    sums: FloatArray,
    touched: Numbers,
) -> int:
    """Add squares to the sums, float32 (size,), in the order of the axes, until none is at most `ceiling` any more.

    Meanwhile the same codes of the following cell are fetched: cells lie apart, which no processor foresees.

    Returns:
        How many are.
    """
    width, size = cells.codes.shape[1:]
    origin, step, codes = cells.origin[cell], cells.step[cell], cells.codes[cell]
    inside, done = np.float32(size), 0
    while inside > 0 and done < width:
        some = min(TOGETHER, width - done)
        for nth in range(done, done + some):
            _fetch(cells.codes, (following * width + axes[nth]) * size)
        fours = done + some // AT_ONCE * AT_ONCE
        for nth in range(done, fours, AT_ONCE):
            _add_four(sums, place, origin, step, codes, axes[nth : nth + AT_ONCE])
        for nth in range(fours, done + some):
            _add_one(sums, place, origin, step, codes, axes[nth])
        done += some
        inside = _count(sums, ceiling)
    touched[0] += 1
    touched[1] += size * done
    return int(inside)


@woven
def _fetch(codes: Codes, first: int) -> None:
    """Have all members' codes along one axis fetched, of which the first is at this place."""
    for code in range(first, first + codes.shape[2], LINE):
        prefetch_beyond(codes, code)


@woven
def _add_four(
    sums: FloatArray, place: FloatArray, origin: FloatArray, step: FloatArray, codes: Codes, axes: Numbers
) -> None:
    axis0, axis1, axis2, axis3 = axes[0], axes[1], axes[2], axes[3]
    here0, here1 = place[axis0] - origin[axis0], place[axis1] - origin[axis1]
    here2, here3 = place[axis2] - origin[axis2], place[axis3] - origin[axis3]
    step0, step1, step2, step3 = step[axis0], step[axis1], step[axis2], step[axis3]
    codes0, codes1, codes2, codes3 = codes[axis0], codes[axis1], codes[axis2], codes[axis3]
    for member in range(sums.shape[0]):
        off0 = here0 - step0 * np.float32(codes0[member])
        off1 = here1 - step1 * np.float32(codes1[member])
        off2 = here2 - step2 * np.float32(codes2[member])
        off3 = here3 - step3 * np.float32(codes3[member])
        sums[member] += off0 * off0 + off1 * off1 + off2 * off2 + off3 * off3


@woven
def _add_one(
    sums: FloatArray, place: FloatArray, origin: FloatArray, step: FloatArray, codes: Codes, axis: int
) -> None:
    here, by, along = place[axis] - origin[axis], step[axis], codes[axis]
    for member in range(sums.shape[0]):
        off = here - by * np.float32(along[member])
        sums[member] += off * off


@woven
def _count(sums: FloatArray, ceiling: np.float32) -> np.float32:
    inside = np.float32(0)  # as wide as the sums, so that several are counted at once
    for member in range(sums.shape[0]):
        inside += np.float32(1) if sums[member] <= ceiling else np.float32(0)
    return inside
