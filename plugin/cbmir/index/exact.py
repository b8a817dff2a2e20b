"""The exact index: the true Euclidean top k, by a proven bound and not by luck."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cbmir.index import bounds, checks
from cbmir.index.base import IdArray, Ranking
from cbmir.index.bounds import DoubleArray, Rows
from cbmir.types import FloatArray

AT_ONCE = 1 << 22
"""Numbers held at once, of bounds (16 MiB) and of differences measured (32 MiB)."""
SPARSE = 8
"""A filter that keeps less than one in so many is searched in a copy of what it keeps."""


class ExactIndex:
    """Features in memory, searched one and all; see `cbmir.index.base.Index`.

    Distances are evaluated in float64 from the float32 features; those that come out equal are ties. One matrix
    product bounds all of them (`cbmir.index.bounds`); only those that can be among the k nearest are measured.

    Args:
        ids: int64 (n,), each once.
        vectors: float32 (n, d), finite; copied.

    Raises:
        cbmir.errors.EncoderMismatch: if the vectors are not a table of one width.
        cbmir.errors.BadRequest: if an id comes twice or a vector holds NaN or infinity.
    """

    is_exact = True

    def __init__(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> None:
        self._ids, members = checks.members(ids, vectors)
        self._table = bounds.table(members)
        self._is_bounded = bool((self._table[:, -2] <= bounds.WIDEST).all())

    @property
    def dimension(self) -> int:
        """Numbers in one feature."""
        return int(self._table.shape[1]) - 2

    def __len__(self) -> int:
        return len(self._ids)

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`."""
        asked, k = checks.queries(queries, self.dimension), checks.wanted(k)
        ids, members, left_out = self._searched(allowed)
        if len(ids) == 0:
            return [[] for _ in asked]
        return [
            _nearest(ids, members, query, rows, k)
            for query, rows in self._candidates(asked, members, left_out, min(k, len(ids)))
        ]

    def _searched(self, allowed: IdArray | None) -> tuple[IdArray, FloatArray, Rows]:
        """Ids and members to look at, and the rows of them that are left out."""
        if allowed is None:
            return self._ids, self._table, np.empty(0, np.intp)
        kept = self._rows(np.asarray(allowed, np.int64))
        if len(kept) * SPARSE < len(self):
            return self._ids[kept], self._table[kept], np.empty(0, np.intp)
        out = np.ones(len(self), bool)
        out[kept] = False
        return self._ids, self._table, np.flatnonzero(out)

    def _rows(self, ids: IdArray) -> Rows:
        rows = np.searchsorted(self._ids, ids)
        held = rows < len(self)
        held[held] = self._ids[rows[held]] == ids[held]
        return rows[held]

    def _candidates(
        self, asked: FloatArray, members: FloatArray, left_out: Rows, k: int
    ) -> Iterator[tuple[FloatArray, Rows]]:
        step = max(1, AT_ONCE // len(members))
        for start in range(0, len(asked), step):
            block = asked[start : start + step]
            if not self._is_bounded or (bounds.lengths(block) > bounds.WIDEST).any():
                everyone = np.delete(np.arange(len(members)), left_out)
                yield from ((query, everyone) for query in block)
                continue
            lower = bounds.lower(members, block)
            lower[:, left_out] = np.inf
            for query, own in zip(block, lower, strict=True):
                yield query, bounds.candidates(members, query, own, k)


def _nearest(ids: IdArray, members: FloatArray, query: FloatArray, rows: Rows, k: int) -> Ranking:
    measured = _distances(members, query, rows)
    order = np.argsort(measured, kind="stable")[:k]  # rows ascend as their ids do: ties come in the ids' order
    return list(zip(ids[rows[order]].tolist(), measured[order].tolist(), strict=True))


def _distances(members: FloatArray, query: FloatArray, rows: Rows) -> DoubleArray:
    measured = np.empty(len(rows), np.float64)
    step = max(1, AT_ONCE // len(query))
    for start in range(0, len(rows), step):
        differences = members[rows[start : start + step], :-2].astype(np.float64, order="C") - query
        measured[start : start + step] = np.sqrt((differences * differences).sum(axis=1))
    return measured
