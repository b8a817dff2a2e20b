"""Members looked at one by one, compiled: for few, where cells would not pay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.index.base import IdArray
from cbmir.index.bounds import rough, square_above
from cbmir.index.measure import compiled, distance
from cbmir.index.nearest import DoubleArray, put_in_order, take
from cbmir.types import FloatArray

Rows = npt.NDArray[np.int64]

TOGETHER = 32
"""Members that are brought from memory before the first of them is measured: they lie far apart, and each alone
would be waited for. A third of the time, where nothing of them is in the cache."""
LINE = 16
"""Numbers in a cache line."""


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
    for start in range(0, rows.shape[0], TOGETHER):
        some = rows[start : start + TOGETHER]
        at_hand = _touched(vectors, some)
        for row in some:
            if rough(vectors[row], query) <= limit or np.isnan(at_hand):
                measured += 1
                taken = take(distances, found, taken, distance(vectors[row], query), ids[row])
                if taken == distances.shape[0]:
                    limit = square_above(distances[0], query.shape[0])
    put_in_order(distances, found, taken)
    return measured


@compiled
def _touched(vectors: FloatArray, rows: Rows) -> np.float32:
    """Have these rows brought from memory, all at once: one number of each of their cache lines, added up and looked
    at, else the compiler leaves it out."""
    total = np.float32(0)
    for row in rows:
        for axis in range(0, vectors.shape[1], LINE):
            total += vectors[row, axis]
    return total
