"""The search through cells, compiled: the nearest first, then all others that can hold a hit.

All cells are judged by a few axes; by all axes only those that are still to be looked into then.

The names are those of `cbmir.index.bounds`; `limit` is s t, the farthest hit's distance in the scale of the axes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled, reordered
from cbmir.index.axes import DoubleArray
from cbmir.index.bounds import margin, rough, square_above
from cbmir.index.cells import LEVELS, Cells
from cbmir.index.measure import distance
from cbmir.index.nearest import put_in_order, take
from cbmir.index.sums import bounded, start
from cbmir.types import FloatArray, IdArray

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

NEAR = 48
"""Cells, or as many as may hold the answer, that are visited in the order of their distance. After them hardly a
better hit is to come, and the others are visited in the order of memory, which is faster."""

LEADING = 12
"""Axes by which all cells are judged at first: in these most features are apart."""


class Placed(NamedTuple):
    """Where a query is along the axes.

    Attributes:
        place: float32 (m,), r.
        reach: what r may be off by.
        scale: s.
    """

    place: FloatArray
    reach: float
    scale: float


@compiled
def nearest(
    members: Cells,
    query: FloatArray,
    placed: Placed,
    counted: tuple[Mask, Mask],
    distances: DoubleArray,
    found: IdArray,
    touched: Numbers,
) -> None:
    """The k nearest members to a query; k is the width of the answer, and at least so many must count.

    Args:
        members: what is searched.
        query: float32 (d,).
        placed: where it is along the axes.
        counted: who counts, bool (n,), empty for all; and which cells have somebody who does, bool (c,).
        distances: float64 (k,), filled in, nearest first.
        found: int64 (k,), filled in: their ids.
        touched: int64 (3,), grows by the cells looked into, the codes read, and the distances measured.
    """
    kept, inhabited = counted
    lower = floors(members, inhabited, placed)
    near = _lowest(lower, max(NEAR, -(-distances.shape[0] // members.codes.shape[2])))
    raise_floors(members, near, placed, lower)
    near = near[np.argsort(lower[near])]
    axes = np.argsort(-_off(members, placed.place, near))
    taken = visit(members, near, lower, query, placed, axes, kept, distances, found, 0, touched)
    lower[near] = np.inf
    limit = distances[0] * placed.scale if taken == distances.shape[0] else np.finfo(np.float64).max
    rest = np.flatnonzero(lower <= limit)
    raise_floors(members, rest, placed, lower)
    taken = visit(members, rest, lower, query, placed, axes, kept, distances, found, taken, touched)
    put_in_order(distances, found, taken)


@compiled
def _lowest(lower: DoubleArray, count: int) -> Numbers:
    """So many cells, or all, of the lowest floors."""
    count = min(count, lower.shape[0])
    floor, some = np.empty(count, np.float64), np.empty(count, np.int64)
    taken = 0
    for cell in range(lower.shape[0]):
        if taken < count or lower[cell] < floor[0]:
            taken = take(floor, some, taken, lower[cell], cell)
    return some


@compiled
def _off(cells: Cells, place: FloatArray, among: Numbers) -> FloatArray:
    """How far off along each axis the members of some cells are, to judge by their boxes: squares, float32 (m,)."""
    squares = np.zeros(place.shape[0], np.float32)
    for axis in range(place.shape[0]):
        for cell in among:
            off, half = place[axis] - cells.middle[axis, cell], cells.half[axis, cell]
            squares[axis] += off * off + half * half / 3
    return squares


@compiled
def floors(cells: Cells, inhabited: Mask, placed: Placed) -> DoubleArray:
    """What s times the distance to a cell's members is at least, by the leading axes: float64 (c,); infinite where
    nobody counts."""
    leading = min(LEADING, placed.place.shape[0])
    squares = np.zeros(cells.slack.shape[0], np.float32)
    for axis in range(leading):
        here, middle, half = placed.place[axis], cells.middle[axis], cells.half[axis]
        for cell in range(squares.shape[0]):
            beyond = abs(here - middle[cell]) - half[cell]
            beyond = (beyond + abs(beyond)) * np.float32(0.5)
            squares[cell] += beyond * beyond
    lower = np.empty(squares.shape[0], np.float64)
    for cell in range(squares.shape[0]):
        length = np.sqrt(np.float64(squares[cell])) / (1.0 + margin(leading))
        lower[cell] = length - cells.slack[cell] - placed.reach if inhabited[cell] else np.inf
    return lower


@compiled
def raise_floors(cells: Cells, some: Numbers, placed: Placed, lower: DoubleArray) -> None:
    """Let the floors of some cells be by all axes; the infinite ones stay so."""
    for cell in some:
        if lower[cell] < np.inf:
            length = np.sqrt(np.float64(_to_box(placed.place, cells.origin[cell], cells.step[cell])))
            lower[cell] = length / (1.0 + margin(placed.place.shape[0])) - cells.slack[cell] - placed.reach


@reordered
def _to_box(place: FloatArray, origin: FloatArray, step: FloatArray) -> np.float32:
    """The squared distance to all that can be coded, as it would be to a member there."""
    total = np.float32(0)
    for axis in range(place.shape[0]):
        here = place[axis] - origin[axis]
        beyond = max(max(-here, here - step[axis] * np.float32(LEVELS)), np.float32(0))
        total += beyond * beyond
    return total


@compiled
def visit(
    cells: Cells,
    order: Numbers,
    lower: DoubleArray,
    query: FloatArray,
    placed: Placed,
    axes: Numbers,
    kept: Mask,
    distances: DoubleArray,
    found: IdArray,
    taken: int,
    touched: Numbers,
) -> int:
    """Take in who of these cells is among the nearest, but for cells too far; how many places are taken then."""
    width, size = cells.codes.shape[1:]
    sums = np.empty(size, np.float32)
    for each, cell in enumerate(order):
        limit = distances[0] * placed.scale if taken == distances.shape[0] else np.inf
        if lower[cell] > limit:
            continue
        start(sums, kept, cell * size, cells.ids.shape[0])
        ceiling = square_above(limit + cells.slack[cell] + placed.reach, width)
        following = order[min(each + 1, len(order) - 1)]
        if bounded(cells, cell, following, placed.place, axes, ceiling, sums, touched):
            taken = _measured(cells, cell * size, query, sums, ceiling, distances, found, taken, touched)
    return taken


@compiled
def _measured(
    cells: Cells,
    first: int,
    query: FloatArray,
    sums: FloatArray,
    ceiling: np.float32,
    distances: DoubleArray,
    found: IdArray,
    taken: int,
    touched: Numbers,
) -> int:
    """Take in who of a cell, whose first member is at this row, belongs to the nearest; places taken then."""
    for member in range(sums.shape[0]):
        if sums[member] <= ceiling:
            row = first + member
            farthest = distances[0] if taken == distances.shape[0] else np.inf
            if rough(cells.vectors[row], query) <= square_above(farthest, query.shape[0]):
                touched[2] += 1
                taken = take(distances, found, taken, distance(cells.vectors[row], query), cells.ids[row])
    return taken
