"""The distance itself, compiled: every index gives the numbers that come from here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled
from cbmir.types import FloatArray


@compiled
def distance(vector: FloatArray, query: FloatArray) -> float:
    """Euclidean distance in float64, the squares added from the first dimension to the last.

    It differs from the true one by less than (d + 4) 2^-53 of it: the differences of float32 numbers, their
    squares, the sums and the root are rounded once each.

    Args:
        vector: float32 (d,).
        query: float32 (d,).
    """
    total = 0.0
    for axis in range(query.shape[0]):
        difference = np.float64(vector[axis]) - np.float64(query[axis])
        total += difference * difference
    root: float = np.sqrt(total)
    return root


@compiled
def distances(vectors: FloatArray, query: FloatArray) -> npt.NDArray[np.float64]:
    """The distance of each vector, float32 (n, d), to the query, float32 (d,): float64 (n,)."""
    found = np.empty(vectors.shape[0], np.float64)
    for row in range(vectors.shape[0]):
        found[row] = distance(vectors[row], query)
    return found
