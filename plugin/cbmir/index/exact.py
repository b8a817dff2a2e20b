"""The exact index: the true Euclidean top k, by a proven bound and not by luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cbmir.index import bounds, checks
from cbmir.index.base import IdArray, Ranking
from cbmir.index.sweep import Members
from cbmir.types import FloatArray

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
        ascending, members = checks.members(ids, vectors)
        table = bounds.table(members)
        self._members = Members(ascending, table, float(table[:, -2].max(initial=0)))

    @property
    def dimension(self) -> int:
        """Numbers in one feature."""
        return int(self._members.table.shape[1]) - 2

    def __len__(self) -> int:
        return len(self._members.ids)

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`."""
        asked, k = checks.queries(queries, self.dimension), checks.wanted(k)
        members = self._members if allowed is None else self._only(np.asarray(allowed, np.int64))
        if len(members.ids) == 0:
            return [[] for _ in asked]
        return list(members.nearest(asked, k))

    def _only(self, allowed: IdArray) -> Members:
        ids, table = self._members.ids, self._members.table
        if len(allowed) * SPARSE >= len(ids):
            return replace(self._members, kept=np.isin(ids, allowed))
        rows = np.searchsorted(ids, allowed)
        held = rows < len(ids)
        held[held] = ids[rows[held]] == allowed[held]
        return replace(self._members, ids=ids[rows[held]], table=table[rows[held]])
