"""The search through cells, compiled: the nearest cell first, until no cell can hold a hit.

The names are those of `cbmir.index.bounds`; `limit` is s t, the farthest hit's distance in the scale of the axes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cbmir.index.axes import DoubleArray
from cbmir.index.base import IdArray
from cbmir.index.bounds import margin, square_above
from cbmir.index.cells import Cells
from cbmir.index.measure import compiled, distance
from cbmir.index.nearest import put_in_order, take
from cbmir.index.sums import bounded
from cbmir.types import FloatArray

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


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
    lower = np.where(inhabited, floors(members, *placed[:2]), np.inf)
    first = _first(lower, members.codes.shape[2], len(distances))
    taken = visit(members, first, lower, query, *placed, kept, distances, found, 0, touched)
    lower[first] = np.inf
    limit = distances[0] * placed.scale if taken == len(distances) else np.finfo(np.float64).max
    rest = np.flatnonzero(lower <= limit)
    rest = rest[np.argsort(lower[rest])]
    taken = visit(members, rest, lower, query, *placed, kept, distances, found, taken, touched)
    put_in_order(distances, found, taken)


def _first(lower: DoubleArray, size: int, k: int) -> Numbers:
    """The nearest cells, as many as may fill the answer."""
    wanted = -(-k // size)
    if wanted == 1:
        return np.array([lower.argmin()])
    return np.argsort(lower)[:wanted]


@compiled
def floors(cells: Cells, place: FloatArray, reach: float) -> DoubleArray:
    """What s times the distance to a cell's members is at least: float64 (c,)."""
    squares = np.zeros(cells.slack.shape[0], np.float32)
    for axis in range(place.shape[0]):
        here, middle, half = place[axis], cells.middle[axis], cells.half[axis]
        for cell in range(squares.shape[0]):
            beyond = abs(here - middle[cell]) - half[cell]
            beyond = (beyond + abs(beyond)) * np.float32(0.5)
            squares[cell] += beyond * beyond
    lower = np.empty(squares.shape[0], np.float64)
    for cell in range(squares.shape[0]):
        length = np.sqrt(np.float64(squares[cell])) / (1.0 + margin(place.shape[0]))
        lower[cell] = length - cells.slack[cell] - reach
    return lower


@compiled
def visit(
    cells: Cells,
    order: Numbers,
    lower: DoubleArray,
    query: FloatArray,
    place: FloatArray,
    reach: float,
    scale: float,
    kept: Mask,
    distances: DoubleArray,
    found: IdArray,
    taken: int,
    touched: Numbers,
) -> int:
    """Take in who of these cells is among the nearest, until a cell is too far; how many places are taken then."""
    sums = np.empty(cells.codes.shape[2], np.float32)
    for cell in order:
        limit = distances[0] * scale if taken == distances.shape[0] else np.inf
        if lower[cell] > limit:
            break
        taken = _visit(cells, cell, query, place, reach, scale, limit, kept, sums, distances, found, taken, touched)
    return taken


@compiled
def _visit(
    cells: Cells,
    cell: int,
    query: FloatArray,
    place: FloatArray,
    reach: float,
    scale: float,
    limit: float,
    kept: Mask,
    sums: FloatArray,
    distances: DoubleArray,
    found: IdArray,
    taken: int,
    touched: Numbers,
) -> int:
    """Take in who of the cell belongs to the nearest; how many places are taken then."""
    width, size = cells.codes.shape[1:]
    loose = cells.slack[cell] + reach
    ceiling = square_above(limit + loose, width)
    if not bounded(cells, cell, place, ceiling, sums, touched):
        return taken
    first = cell * size
    for place_in_cell in range(min(size, cells.ids.shape[0] - first)):
        row = first + place_in_cell
        if sums[place_in_cell] <= ceiling and (kept.shape[0] == 0 or kept[row]):
            touched[2] += 1
            taken = take(distances, found, taken, distance(cells.vectors[row], query), cells.ids[row])
            if taken == distances.shape[0]:
                ceiling = square_above(distances[0] * scale + loose, width)
    return taken
