"""Members looked at one by one, compiled: for few, where cells would not pay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled, woven
from cbmir.index.bounds import rough, square_above
from cbmir.index.measure import distance
from cbmir.index.nearest import DoubleArray, put_in_order, take
from cbmir.index.prefetch import LINE, prefetch_beyond
from cbmir.types import FloatArray, IdArray

Rows = npt.NDArray[np.int64]

AHEAD = 16
"""So many members before it is measured one is fetched: they lie apart, which no processor foresees."""
FORESEEN = 64
"""Numbers of a vector after which a processor has seen where it goes on."""


@compiled
def search(
    vectors: FloatArray,
    ids: IdArray,
    rows: Rows,
    queries: FloatArray,
    distances: DoubleArray,
    found: IdArray,
) -> int:
    """The k nearest of some members to each query; k is the width of the answer and at most the number of rows.

    Args:
        vectors: float32 (n, d), of all members.
        ids: int64 (n,), theirs.
        rows: int64 (m,), of those that count.
        queries: float32 (q, d).
        distances: float64 (q, k), filled in, nearest first.
        found: int64 (q, k), filled in: their ids.

    Returns:
        How many distances were measured.
    """
    measured = 0
    for each in range(queries.shape[0]):
        measured += _search(vectors, ids, rows, queries[each], distances[each], found[each])
    return measured


@compiled
def _search(
    vectors: FloatArray, ids: IdArray, rows: Rows, query: FloatArray, distances: DoubleArray, found: IdArray
) -> int:
    taken, measured, limit = 0, 0, np.float32(np.inf)
    for each, row in enumerate(rows):
        _fetch(vectors, rows[min(each + AHEAD, len(rows) - 1)])
        if rough(vectors[row], query) <= limit:
            measured += 1
            taken = take(distances, found, taken, distance(vectors[row], query), ids[row])
            if taken == distances.shape[0]:
                limit = square_above(distances[0], query.shape[0])
    put_in_order(distances, found, taken)
    return measured


@woven
def _fetch(vectors: FloatArray, row: int) -> None:
    """Have the beginning of a vector fetched, or all of a short one; what follows the processor foresees."""
    first, width = row * vectors.shape[1], vectors.shape[1]
    for number in range(first, first + min(width, FORESEEN), LINE // 4):
        prefetch_beyond(vectors, number)
    prefetch_beyond(vectors, first + min(width, FORESEEN) - 1)  # rows need not begin where lines do
