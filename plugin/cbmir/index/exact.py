"""The exact index: the true Euclidean top k, by a proven bound and not by luck."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cbmir.index import axes, cells, checks, direct, lookup, visit
from cbmir.index.axes import Axes, DoubleArray
from cbmir.index.base import Ranking, answers
from cbmir.index.bounds import FARTHEST, UNIT
from cbmir.index.cells import Cells
from cbmir.index.visit import Mask, Placed
from cbmir.types import FloatArray, IdArray

SPARSE = 48
"""A filter that keeps less than one in so many is searched one by one."""
MOST = 0.75
"""One that keeps more than this share is told by whom it leaves out."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """Who counts in a search.

    Attributes:
        count: how many they are.
        rows: int64 (count,), theirs, if they are few: they are searched one by one; else None.
        kept: who they are, bool (n,); empty for all.
        inhabited: which cells may have one of them, bool (c,).
    """

    count: int
    rows: Rows | None
    kept: Mask
    inhabited: Mask


@dataclass
class Touched:
    """What searches have looked at, in all.

    Attributes:
        cells: looked into.
        codes: numbers of 8 bits read there.
        measured: distances evaluated.
    """

    cells: int = 0
    codes: int = 0
    measured: int = 0

    def add(self, counts: npt.NDArray[np.int64]) -> None:
        """Count these three besides."""
        cells, codes, measured = counts.tolist()
        self.cells, self.codes, self.measured = self.cells + cells, self.codes + codes, self.measured + measured


@dataclass(frozen=True)
class ExactIndex:
    """Features in cells; see `cbmir.index.base.Index`, and `cbmir.index.bounds` for why it misses nobody.

    Attributes:
        cells: the members.
        along: the axes that their cells are along.
        ids: int64 (n,), ascending.
        rows: int64 (n,): where in the cells each id is.
    """

    cells: Cells
    along: Axes
    ids: IdArray
    rows: Rows
    is_exact: bool = True

    @property
    def dimension(self) -> int:
        """Numbers in one feature."""
        return int(self.cells.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def members(self) -> IdArray:
        """See `cbmir.index.base.Index.members`."""
        return self.ids

    def contains(self, ids: IdArray) -> npt.NDArray[np.bool_]:
        """See `cbmir.index.base.Index.contains`."""
        return lookup.holds(self.ids, np.asarray(ids, np.int64))

    def search(
        self, queries: FloatArray, k: int, allowed: IdArray | None = None, touched: Touched | None = None
    ) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`; `touched` counts what is looked at."""
        asked, k = np.ascontiguousarray(checks.queries(queries, self.dimension)), checks.wanted(k)
        counted = self._counted(None if allowed is None else np.asarray(allowed, np.int64))
        shape = (len(asked), min(k, counted.count))
        distances, found = np.empty(shape, np.float64), np.empty(shape, np.int64)
        if found.size:
            self._fill(asked, counted, distances, found, touched or Touched())
        return answers(distances, found)

    def _fill(
        self, asked: FloatArray, counted: Counted, distances: DoubleArray, found: IdArray, touched: Touched
    ) -> None:
        members, some = self.cells, (counted.kept, counted.inhabited)
        if counted.rows is not None:
            touched.measured += direct.search(members.vectors, members.ids, counted.rows, asked, distances, found)
            return
        counts = np.zeros(3, np.int64)
        for each, where in enumerate(placed(self.along, asked)):
            visit.nearest(members, asked[each], where, some, distances[each], found[each], counts)
        touched.add(counts)

    def _counted(self, allowed: IdArray | None) -> Counted:
        """Who counts, of the ids that are allowed; None for all."""
        everywhere = np.ones(len(self.cells.slack), np.bool_)
        if allowed is None:
            return Counted(len(self), None, np.empty(0, np.bool_), everywhere)
        if len(self._table) and len(allowed) > MOST * len(self):
            kept = np.ones(len(self), np.bool_)
            return Counted(lookup.keep_only(self._table, self.ids[0], allowed, kept), None, kept, everywhere)
        rows = self._held(allowed)
        if len(rows) * SPARSE < len(self):
            return Counted(len(rows), rows, np.empty(0, np.bool_), everywhere)
        kept = np.zeros(len(self), np.bool_)
        kept[rows] = True
        inhabited = np.logical_or.reduceat(kept, np.arange(0, len(kept), self.cells.codes.shape[2]))
        return Counted(len(rows), None, kept, inhabited)

    def _held(self, allowed: IdArray) -> Rows:
        """Where those of the ids are that the index holds."""
        if len(self._table):
            return lookup.told(self._table, self.ids[0], allowed)
        places = lookup.places(self.ids, allowed)
        rows: Rows = self.rows[places[places != lookup.ABSENT]]
        return rows

    @cached_property
    def _table(self) -> lookup.Table:
        """Where each id is, if they are dense: one look in place of two, and a miss is as cheap as a hit."""
        return lookup.table(self.ids, self.rows)


def build(ids: npt.ArrayLike, vectors: npt.ArrayLike, size: int = cells.SIZE) -> ExactIndex:
    """An exact index over features.

    Args:
        ids: int64 (n,), each once.
        vectors: float32 (n, d), finite; copied.
        size: of a cell.

    Raises:
        cbmir.errors.EncoderMismatch: if the vectors are not a table of one width.
        cbmir.errors.BadRequest: if an id comes twice or a vector holds NaN or infinity.
    """
    ascending, members = checks.members(ids, vectors)
    along = axes.of(members if len(members) else np.zeros((1, members.shape[1]), np.float32))
    made = cells.build(ascending, members, along, size)
    rows = np.argsort(made.ids)
    return ExactIndex(made, along, made.ids[rows], rows)


def placed(along: Axes, asked: FloatArray) -> list[Placed]:
    """Where each query is; one that is too far away is not bounded."""
    places = along.along(asked)
    lengths = np.linalg.norm(places, axis=1)
    near = lengths <= FARTHEST
    places[~near] = 0
    reaches = np.where(near, 2 * UNIT * lengths + 1e-37, np.inf).tolist()
    return [Placed(*each, along.scale) for each in zip(places.astype(np.float32), reaches, strict=True)]
