"""An approximate index: a graph in which each member knows some near ones, walked towards the query (HNSW).

Malkov and Yashunin, IEEE TPAMI 42 (2020), 824-836, as FAISS has it. What it loses is measured, never guessed:

- It is asked for the `breadth` nearest; only the nearer half of them is trusted, as the graph loses members mostly
  at the edge of what it is asked for.
- A filter is applied to those. Where not enough of them count, be it that the filter keeps few or none near the
  query, all that it keeps are measured one by one, which is exact. So a filter loses no more than no filter does.
- Distances are measured again in float64, so they are the exact index's, digit by digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.index import checks, direct, extras, lookup
from cbmir.index.base import Ranking, answers
from cbmir.index.ranking import ranked
from cbmir.types import FloatArray, IdArray

NEIGHBOURS = 16
"""That a member knows in the graph; twice as many on its lowest level."""
BUILD_BREADTH = 100
"""Members looked at to find a new one's neighbours."""
BREADTH = 128
"""Nearest members asked for at least."""
LARGEST_BREADTH = 2048
"""And at most: the walk's cost grows faster than its breadth."""
WORTH = 200
"""Members that are measured one by one in the time that one more of the breadth takes."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HnswIndex:
    """Features in a graph; see `cbmir.index.base.Index`.

    Attributes:
        ids: int64 (n,), ascending.
        vectors: float32 (n, d), theirs.
        graph: FAISS's index over them, in this order.
    """

    ids: IdArray
    vectors: FloatArray
    graph: Any
    is_exact: bool = False

    @property
    def dimension(self) -> int:
        """Numbers in one feature."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def members(self) -> IdArray:
        """See `cbmir.index.base.Index.members`."""
        return self.ids

    def contains(self, ids: IdArray) -> npt.NDArray[np.bool_]:
        """See `cbmir.index.base.Index.contains`."""
        return lookup.holds(self.ids, np.asarray(ids, np.int64))

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`."""
        asked, k = np.ascontiguousarray(checks.queries(queries, self.dimension)), checks.wanted(k)
        rows = None if allowed is None else self._held(np.asarray(allowed, np.int64))
        count = len(self) if rows is None else len(rows)
        k = min(k, count)
        if not (k and len(asked)):
            return [[] for _ in asked]
        breadth = _breadth(k, count / len(self))
        if breadth is None or count <= WORTH * breadth:
            return self._one_by_one(asked, k, rows)
        return self._walked(asked, k, rows, breadth)

    def _walked(self, asked: FloatArray, k: int, rows: Rows | None, breadth: int) -> list[Ranking]:
        """By the graph; those whose surroundings hold fewer than k that count are searched one by one."""
        how = _faiss().SearchParametersHNSW(efSearch=breadth)
        trusted = self.graph.search(asked, breadth, params=how)[1][:, : breadth // 2]
        counts = trusted >= 0
        if rows is not None:
            kept = np.zeros(len(self), np.bool_)
            kept[rows] = True
            counts &= kept[trusted]
        found = [
            ranked(self.ids[near[ok]], self.vectors[near[ok]], query, k)
            for query, near, ok in zip(asked, trusted, counts, strict=True)
        ]
        short = [place for place, ranking in enumerate(found) if len(ranking) < k]
        if short:
            for place, ranking in zip(short, self._one_by_one(asked[short], k, rows), strict=True):
                found[place] = ranking
        return found

    def _one_by_one(self, asked: FloatArray, k: int, rows: Rows | None) -> list[Ranking]:
        some = np.arange(len(self)) if rows is None else rows
        far, found = np.empty((len(asked), k), np.float64), np.empty((len(asked), k), np.int64)
        direct.search(self.vectors, self.ids, some, asked, far, found)
        return answers(far, found)

    def _held(self, allowed: IdArray) -> Rows:
        """Where those of the ids are that the index holds."""
        places = lookup.places(self.ids, allowed)
        rows: Rows = places[places != lookup.ABSENT]
        return rows


def build(ids: npt.ArrayLike, vectors: npt.ArrayLike) -> HnswIndex:
    """An approximate index over features, made with all cores.

    Args:
        ids: int64 (n,), each once.
        vectors: float32 (n, d), finite; copied.

    Raises:
        cbmir.errors.Unavailable: if FAISS is not installed.
        cbmir.errors.EncoderMismatch: if the vectors are not a table of one width.
        cbmir.errors.BadRequest: if an id comes twice or a vector holds NaN or infinity.
    """
    ascending, members = checks.members(ids, vectors)
    graph = _faiss().IndexHNSWFlat(members.shape[1], NEIGHBOURS)
    graph.hnsw.efConstruction = BUILD_BREADTH
    graph.add(np.ascontiguousarray(members))
    return over(ascending, graph)


def over(ids: IdArray, graph: Any) -> HnswIndex:
    """The index of a graph and the ids of its members; the vectors are those that the graph holds."""
    if not len(ids):
        return HnswIndex(ids, np.empty((0, graph.d), np.float32), graph)
    faiss = _faiss()
    held = faiss.rev_swig_ptr(faiss.downcast_index(graph.storage).get_xb(), graph.ntotal * graph.d)
    return HnswIndex(ids, held.reshape(graph.ntotal, graph.d), graph)


def _breadth(k: int, kept: float) -> int | None:
    """How many to ask for, so that about k in half of them count; None where that is too many."""
    breadth = max(BREADTH, int(2.6 * k / kept))
    return breadth if breadth <= LARGEST_BREADTH else None


def _faiss() -> Any:
    return extras.needed("faiss", "hnsw")
