"""Candidates that somebody else has found, ranked as every index ranks: by the distance in float64, then by id."""

from __future__ import annotations

import numpy as np

from cbmir.index.base import Ranking
from cbmir.index.measure import distances
from cbmir.types import FloatArray, IdArray


def ranked(ids: IdArray, vectors: FloatArray, query: FloatArray, k: int) -> Ranking:
    """The k nearest of some members to a query.

    Args:
        ids: int64 (n,).
        vectors: float32 (n, d), theirs.
        query: float32 (d,).
        k: at least 1.
    """
    far = distances(vectors, query)
    order = np.lexsort((ids, far))[:k]
    return list(zip(ids[order].tolist(), far[order].tolist(), strict=True))
