"""Which answers are right: measured by brute force in float64, by nobody whom a benchmark asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray, IdArray

SAME = 1e-6
"""Of a squared distance: who is farther by less is as near, as float32 tells no more."""


class Truth:
    """How far the k nearest reach, for some queries.

    Args:
        vectors: float32 (n, d).
        queries: float32 (m, d).
        most: the largest k that is asked for.
        parts: ids among which is asked, int64; None are all.
    """

    def __init__(
        self, vectors: FloatArray, queries: FloatArray, most: int, parts: Sequence[IdArray | None]
    ) -> None:
        self._vectors, self._queries = vectors, queries.astype(np.float64)
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        self._reaches = [self._of(squares, query, most, parts) for query in self._queries]
        self._members = [None if ids is None else _mask(ids, len(vectors)) for ids in parts]

    def _of(
        self,
        squares: npt.NDArray[np.float64],
        query: npt.NDArray[np.float64],
        most: int,
        parts: Sequence[IdArray | None],
    ) -> list[npt.NDArray[np.float64]]:
        """For each part the distances of the nearest, squared, ascending."""
        products = np.einsum("ij,j->i", self._vectors, query, dtype=np.float64)
        likely = squares - 2 * products
        return [self._nearest(likely, query, most, ids) for ids in parts]

    def _nearest(
        self, likely: npt.NDArray[np.float64], query: npt.NDArray[np.float64], most: int, ids: IdArray | None
    ) -> npt.NDArray[np.float64]:
        among = np.arange(len(likely)) if ids is None else ids
        count = min(most, len(among))
        return np.sort(self._distances(among[np.argpartition(likely[among], count - 1)[:count]], query))

    def _distances(self, ids: IdArray, query: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return ((self._vectors[ids] - query) ** 2).sum(axis=1)

    def share(self, number: int, ids: Sequence[int], k: int, part: int) -> float:
        """How many of the k nearest of a part are among these, for the query of a number; of equals any will do.

        Those beyond the part, and ids below 0, which stand for none, do not count.
        """
        given = np.array(sorted({id for id in ids if id >= 0}), np.int64)
        members = self._members[part]
        kept = given if members is None else given[members[given]]
        reach = self._reaches[number][part][:k]
        near = self._distances(kept, self._queries[number]) <= reach[-1] * (1 + SAME)
        return min(int(near.sum()), len(reach)) / len(reach)


def _mask(ids: IdArray, count: int) -> npt.NDArray[np.bool_]:
    kept = np.zeros(count, np.bool_)
    kept[ids] = True
    return kept
