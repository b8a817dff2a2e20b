"""How much of the truth an approximate index finds: measured against all members, looked at one by one."""

from __future__ import annotations

import numpy as np

from cbmir.index import direct
from cbmir.index.base import Index
from cbmir.types import FloatArray, IdArray

K = 10
SAMPLE = 200
"""Members asked about: a recall of 0.98 is then known to about 0.003."""


class Truth:
    """The nearest others of some members; `take` is to be given all members, in as many pieces as one likes.

    Args:
        ids: int64 (q,), of the members asked about.
        queries: float32 (q, d), theirs.
        k: how many others.
    """

    def __init__(self, ids: IdArray, queries: FloatArray, k: int = K) -> None:
        self.ids, self.queries, self.k = ids, np.ascontiguousarray(queries), k
        self._distances = np.full((len(ids), k), np.inf)

    def take(self, ids: IdArray, vectors: FloatArray) -> None:
        """Look at some more members: int64 (n,) and float32 (n, d)."""
        wanted = min(self.k + 1, len(ids))
        distances, found = np.empty((len(self.ids), wanted)), np.empty((len(self.ids), wanted), np.int64)
        if not found.size:
            return
        direct.search(np.ascontiguousarray(vectors), ids, np.arange(len(ids)), self.queries, distances, found)
        distances[found == self.ids[:, np.newaxis]] = np.inf
        self._distances = np.sort(np.concatenate([self._distances, distances], axis=1), axis=1)[:, : self.k]

    def recall(self, index: Index) -> float:
        """The share of the true nearest that an index finds; whom it finds as near as the last of them counts."""
        rankings = index.search(self.queries, self.k + 1) if len(self.ids) else []
        found = wanted = 0
        for own, ranking, true in zip(self.ids.tolist(), rankings, self._distances, strict=True):
            there = true[np.isfinite(true)]
            others = [distance for id, distance in ranking if id != own][: self.k]
            wanted += len(there)
            found += sum(distance <= there[-1] for distance in others) if len(there) else 0
        return float(found / wanted) if wanted else 1.0


def spread(count: int, sample: int = SAMPLE) -> IdArray:
    """Rows of some of so many members, evenly: int64 (at most sample,)."""
    return (
        np.unique(np.linspace(0, count - 1, min(count, sample)).astype(np.int64))
        if count
        else np.empty(0, np.int64)
    )
