"""One pass over all members: groups of them are bounded, and only those of the nearest groups are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbmir.index import bounds
from cbmir.index.base import IdArray, Ranking
from cbmir.index.bounds import DoubleArray
from cbmir.types import FloatArray

Rows = npt.NDArray[np.intp]

GROUP = 64
"""Most members that share one bound, the lowest of theirs."""
MEASURED = 4096
"""Members measured at first, about: k groups, which are the smaller the larger k is."""
QUERIES = 256
"""Queries that share one pass."""
TILE = 1 << 18
"""Bounds held at once: 1 MiB, which stays in the processor's cache."""
DIFFERENCES = 1 << 20
"""Differences held at once while distances are measured: 8 MiB."""


@dataclass(frozen=True)
class Members:
    """What is searched.

    Attributes:
        ids: int64 (n,), ascending.
        table: float32 (n, d + 2), made by `cbmir.index.bounds.table`.
        longest: length of the longest member, or more.
        kept: bool (n,), who counts; None for all.
    """

    ids: IdArray
    table: FloatArray
    longest: float
    kept: npt.NDArray[np.bool_] | None = None

    def nearest(self, queries: FloatArray, k: int) -> Iterator[Ranking]:
        """The k nearest of each query, or all where fewer count; at least one member is needed."""
        width = _width(k)
        for start in range(0, len(queries), QUERIES):
            block = queries[start : start + QUERIES]
            for query, lowest in zip(block, self._lowest(block, width), strict=True):
                yield self._pick(query, lowest, width, k)

    def _lowest(self, queries: FloatArray, width: int) -> FloatArray:
        """The lowest bound in each group of `width` members: float32 (q, ceil(n / width))."""
        count = len(self.table)
        lowest = np.full((len(queries), -(-count // width)), -np.inf, np.float32)
        if max(self.longest, bounds.lengths(queries).max()) > bounds.WIDEST:
            return lowest
        factors, step = bounds.factors(queries), max(1, TILE // len(queries) // GROUP) * GROUP
        tile = np.empty((len(queries), min(step, -(-count // width) * width)), np.float32)
        for start in range(0, count, step):
            self._bound(factors, start, tile)
            groups = tile.reshape(len(queries), -1, width).min(axis=2)
            first = start // width
            lowest[:, first : first + groups.shape[1]] = groups[:, : lowest.shape[1] - first]
        return lowest

    def _bound(self, factors: FloatArray, start: int, tile: FloatArray) -> None:
        rows = self.table[start : start + tile.shape[1]]
        np.matmul(factors, rows.T, out=tile[:, : len(rows)])
        tile[:, len(rows) :] = np.inf
        if self.kept is not None:
            tile[:, np.flatnonzero(~self.kept[start : start + len(rows)])] = np.inf

    def _pick(self, query: FloatArray, lowest: FloatArray, width: int, k: int) -> Ranking:
        first = self._distances(query, self._rows(_least(lowest, k), width))
        within = float(np.partition(first, k - 1)[k - 1]) if k <= len(first) else np.inf
        rows = self._rows(np.flatnonzero(lowest <= bounds.ceiling(within, query)), width)
        measured = self._distances(query, rows)
        order = np.argsort(measured, kind="stable")[:k]  # rows ascend as their ids do: so do ties
        return list(zip(self.ids[rows[order]].tolist(), measured[order].tolist(), strict=True))

    def _rows(self, groups: Rows, width: int) -> Rows:
        """The members of these groups that count."""
        rows = (groups[:, np.newaxis] * width + np.arange(width)).ravel()
        rows = rows[rows < len(self.ids)]
        return rows if self.kept is None else rows[self.kept[rows]]

    def _distances(self, query: FloatArray, rows: Rows) -> DoubleArray:
        measured = np.empty(len(rows), np.float64)
        step = max(1, DIFFERENCES // len(query))
        for start in range(0, len(rows), step):
            differences = self.table[rows[start : start + step], :-2].astype(np.float64, order="C") - query
            measured[start : start + step] = np.sqrt((differences * differences).sum(axis=1))
        return measured


def _width(k: int) -> int:
    width = GROUP
    while width > 1 and width * k > MEASURED:
        width //= 2
    return width


def _least(values: FloatArray, k: int) -> Rows:
    return np.argpartition(values, k - 1)[:k] if k < len(values) else np.arange(len(values))
