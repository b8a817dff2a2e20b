"""An approximate index in a Milvus: a collection of ids and features, searched there and ranked again here.

A filter is a list of ids. Where it keeps many, more hits are asked for and the others are passed over; only the
nearer half of them is trusted, as an approximate search loses members mostly at its edge. Where that leaves too
few, the ids are told to Milvus, so many at a time, and the answers are merged; what it does not find among them is
fetched, and measured here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from cbmir.errors import NotFound, Unavailable
from cbmir.index import checks
from cbmir.index.base import Ranking
from cbmir.index.ranking import ranked
from cbmir.index.stamp import REMEDY
from cbmir.types import FloatArray, IdArray

METRIC = "L2"
BREADTH = 128
"""Nearest members that a search keeps in mind at least."""
SPARE = 16
"""Candidates beyond k, which Milvus orders by distances in float32."""
LARGEST_ANSWER = 16_384
"""Milvus's own bound."""
LARGEST_BREADTH = 2_048
"""Hits asked for at most, where a filter passes some over."""
TOLD = 10_000
"""Ids of a filter that are told at once."""
FETCHED = 1_000
"""So few are measured here, one by one."""
ROWS_AT_ONCE = 5_000
GONE = 100
"""Milvus's code of a collection that is not there."""


@contextmanager
def translated() -> Iterator[None]:
    """Milvus's errors leave the block as ours.

    Raises:
        cbmir.errors.NotFound: for a collection that is not there (any more).
        cbmir.errors.Unavailable: for any other.
    """
    try:
        yield
    except MilvusException as error:
        if error.code == GONE:
            raise NotFound("The index in Milvus has gone, or was made anew.", f"Repeat. {REMEDY}") from error
        said = str(error.message).partition("\n")[0].rstrip(".")
        raise Unavailable(
            f"Milvus does not do what it is asked: {said}.", "Check that it runs, and CBMIR_MILVUS_URL."
        ) from error


@dataclass(frozen=True)
class MilvusIndex:
    """A collection; see `cbmir.index.base.Index`.

    Attributes:
        client: of the Milvus.
        collection: its name.
        dimension: numbers in one feature.
        count: members.
        highest: of their ids.
    """

    client: MilvusClient
    collection: str
    dimension: int
    count: int
    highest: int
    is_exact: bool = False

    def __len__(self) -> int:
        return self.count

    def members(self) -> IdArray:
        """See `cbmir.index.base.Index.members`."""
        ids = [row["id"] for rows in self.rows("id") for row in rows]
        return np.sort(np.array(ids, np.int64))

    def rows(self, *fields: str) -> Iterator[Sequence[Any]]:
        """These fields of all members, so many members at a time."""
        with translated():
            rows = self.client.query_iterator(self.collection, ROWS_AT_ONCE, output_fields=list(fields))
            while piece := rows.next():
                yield piece
            rows.close()

    def contains(self, ids: IdArray) -> npt.NDArray[np.bool_]:
        """See `cbmir.index.base.Index.contains`."""
        found: list[int] = []
        with translated():
            for some in _pieces(ids):
                found += [row["id"] for row in self.client.get(self.collection, some.tolist(), ["id"])]
        return np.isin(ids, found)

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`."""
        asked, k = np.ascontiguousarray(checks.queries(queries, self.dimension)), checks.wanted(k)
        some = None if allowed is None else np.asarray(allowed, np.int64)
        count = self.count if some is None else min(self.count, len(some))
        with translated():
            return [self._search(query, min(k, count), some) if count else [] for query in asked]

    def _search(self, query: FloatArray, k: int, allowed: IdArray | None) -> Ranking:
        found = self._passing_over(query, k, allowed)
        if found is None:
            return self._told(query, k, self.members() if allowed is None else allowed)
        return found

    def _passing_over(self, query: FloatArray, k: int, allowed: IdArray | None) -> Ranking | None:
        """By asking for more than k; None where that does not do."""
        kept = 1.0 if allowed is None else min(1.0, len(allowed) / self.count)
        breadth = max(BREADTH, int(2.6 * k / kept)) if allowed is not None else 2 * (k + SPARE)
        largest = LARGEST_BREADTH if allowed is not None else LARGEST_ANSWER
        if breadth > largest:
            return None
        ids, vectors = self._nearest(query, min(breadth, self.count))
        half = slice(None, len(ids) if breadth >= self.count else breadth // 2)
        ids, vectors = ids[half], vectors[half]
        if allowed is not None:
            counts = np.isin(ids, allowed)
            ids, vectors = ids[counts], vectors[counts]
        return ranked(ids, vectors, query, k) if len(ids) >= k else None

    def _told(self, query: FloatArray, k: int, allowed: IdArray) -> Ranking:
        """By telling Milvus the ids; where it gives fewer than it was asked for, by measuring all of them here."""
        found: Ranking = []
        for some in _pieces(allowed):
            limit = 2 * (k + SPARE)
            members = self._nearest(query, limit, f"id in {some.tolist()}") if FETCHED < len(some) > limit else None
            if members is None or len(members[0]) < limit:
                members = self._fetched(some)
            found += ranked(*members, query, k)
        return sorted(found, key=lambda hit: (hit[1], hit[0]))[:k]

    def _fetched(self, ids: IdArray) -> tuple[IdArray, FloatArray]:
        return unpacked(self.client.get(self.collection, ids.tolist(), ["id", "vector"]), self.dimension)

    def _nearest(self, query: FloatArray, limit: int, which: str = "") -> tuple[IdArray, FloatArray]:
        """As many members, nearest first as Milvus sees it: int64 (n,), float32 (n, d)."""
        how = {"metric_type": METRIC, "params": {"ef": max(BREADTH, 2 * limit)}}
        (hits,) = self.client.search(
            self.collection, [query], which, limit, output_fields=["vector"], search_params=how
        )
        return unpacked([{"id": hit["id"], "vector": hit["entity"]["vector"]} for hit in hits], self.dimension)


def unpacked(rows: Sequence[Any], dimension: int) -> tuple[IdArray, FloatArray]:
    """Ids and vectors of members as Milvus gives them: int64 (n,), float32 (n, d)."""
    vectors = np.array([row["vector"] for row in rows], np.float32).reshape(len(rows), dimension)
    return np.array([row["id"] for row in rows], np.int64), vectors


def _pieces(ids: IdArray) -> Iterator[IdArray]:
    return (ids[start : start + TOLD] for start in range(0, len(ids), TOLD))
