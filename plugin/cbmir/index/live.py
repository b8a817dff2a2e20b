"""An index that follows changes: a large one that stays as it is, and beside it what came and went since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from cbmir.index import checks, direct
from cbmir.index.base import Index, Ranking, answers
from cbmir.types import FloatArray, IdArray

SPARE = 16
"""Hits asked for beyond k where some may be gone."""


@dataclass(frozen=True)
class LiveIndex:
    """The members of `base` that are not gone, and the added ones; see `cbmir.index.base.Index`.

    It is as exact as its base. A change makes another one, so who searches meanwhile is not disturbed.

    Attributes:
        base: what most members are in.
        gone: int64 (g,), ascending: those of the base that do not count any more.
        ids: int64 (a,), ascending: added ones.
        vectors: float32 (a, d), theirs.
    """

    base: Index
    gone: IdArray
    ids: IdArray
    vectors: FloatArray

    @classmethod
    def over(cls, base: Index) -> Self:
        """Nothing has changed yet."""
        none = np.empty(0, np.int64)
        return cls(base, none, none, np.empty((0, base.dimension), np.float32))

    @property
    def dimension(self) -> int:
        """Numbers in one feature."""
        return self.base.dimension

    @property
    def is_exact(self) -> bool:
        """Whether the base is."""
        return self.base.is_exact

    @property
    def changes(self) -> int:
        """How many have come and gone."""
        return len(self.gone) + len(self.ids)

    def __len__(self) -> int:
        return len(self.base) - len(self.gone) + len(self.ids)

    def members(self) -> IdArray:
        """See `cbmir.index.base.Index.members`."""
        stayed = (
            np.setdiff1d(self.base.members(), self.gone, assume_unique=True)
            if self.changes
            else self.base.members()
        )
        return np.sort(np.concatenate([stayed, self.ids])) if len(self.ids) else stayed

    def contains(self, ids: IdArray) -> npt.NDArray[np.bool_]:
        """See `cbmir.index.base.Index.contains`."""
        if not self.changes:
            return self.base.contains(ids)
        return (self.base.contains(ids) & ~np.isin(ids, self.gone)) | np.isin(ids, self.ids)

    def changed(self, gone: IdArray, ids: IdArray, vectors: FloatArray) -> Self:
        """The index after some have gone and then others have come, which may be the same again.

        Args:
            gone: int64; who is not held is passed over.
            ids: int64 (n,), of which none is held by then.
            vectors: float32 (n, d).

        Raises:
            cbmir.errors.EncoderMismatch, cbmir.errors.BadRequest: as `cbmir.index.registry.build`.
        """
        stays = ~np.isin(self.ids, gone)
        here = np.unique(gone)
        here = here[self.base.contains(here)]
        added, features = checks.members(
            np.concatenate([self.ids[stays], ids]), np.concatenate([self.vectors[stays], vectors])
        )
        return replace(self, gone=np.union1d(self.gone, here), ids=added, vectors=np.ascontiguousarray(features))

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`."""
        found = self._stayed(queries, k, allowed)
        if not len(self.ids):
            return found
        return [_merged(*pair, k) for pair in zip(found, self._added(queries, k, allowed), strict=True)]

    def _stayed(self, queries: FloatArray, k: int, allowed: IdArray | None) -> list[Ranking]:
        """Those of the base: it is asked for more until enough of them are not gone, or it has no more."""
        if not len(self.gone):
            return self.base.search(queries, k, allowed)
        gone, wanted = set(self.gone.tolist()), k + SPARE
        while True:
            found = self.base.search(queries, wanted, allowed)
            alive = [[hit for hit in ranking if hit[0] not in gone][:k] for ranking in found]
            if all(len(kept) == k or len(all_) < wanted for kept, all_ in zip(alive, found, strict=True)):
                return alive
            wanted *= 4

    def _added(self, queries: FloatArray, k: int, allowed: IdArray | None) -> list[Ranking]:
        asked = np.ascontiguousarray(checks.queries(queries, self.dimension))
        rows = np.flatnonzero(np.isin(self.ids, allowed)) if allowed is not None else np.arange(len(self.ids))
        shape = (len(asked), min(k, len(rows)))
        distances, found = np.empty(shape, np.float64), np.empty(shape, np.int64)
        if found.size:
            direct.search(self.vectors, self.ids, rows, asked, distances, found)
        return answers(distances, found)


def _merged(some: Ranking, others: Ranking, k: int) -> Ranking:
    return sorted(some + others, key=lambda hit: (hit[1], hit[0]))[:k]
