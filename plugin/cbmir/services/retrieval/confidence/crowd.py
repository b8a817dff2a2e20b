"""A gallery asked about itself: how far is each image from those of other patients?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cbmir.index.base import Index, Ranking
from cbmir.types import FloatArray

METHOD = "mean5/local10"
NEAREST = 5
"""Images whose distances make up a score."""
AROUND = 10
"""Images whose own distances say what is usual in their place."""

AT_FIRST = 32
"""Neighbours searched first; images of one patient lie together, so some of them are left out."""
MORE = 8
"""Times as many are searched, where too few were of other patients."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """The members of a gallery.

    Attributes:
        index: over their features.
        vectors: the features of members by their ids, float32 (d,) each; one deleted meanwhile is absent.
        groups: the row ids of their patients' groups by their ids, likewise.
        known: how far apart each was found; threads that find the same twice do no harm.
    """

    index: Index
    vectors: Callable[[Sequence[int]], Mapping[int, FloatArray]]
    groups: Callable[[Sequence[int]], Mapping[int, int]]
    known: dict[int, float] = field(default_factory=dict)

    def scores(self, rankings: Sequence[Ranking]) -> Doubles:
        """The score of each ranking, nearest first: see `cbmir.services.retrieval.confidence`.

        Returns:
            float64 (n,); NaN for an empty ranking, and where no member has another patient's beside it.
        """
        self._learn({frame_id for ranking in rankings for frame_id, _ in ranking[:AROUND]})
        return np.array([self._score(ranking) for ranking in rankings])

    def own_scores(self, ids: Sequence[int]) -> Doubles:
        """The scores of members, each without its own patient's."""
        return self.scores(self.others(ids))

    def others(self, ids: Sequence[int]) -> list[Ranking]:
        """The nearest members of other groups for each of these: `AROUND`, or all that there are."""
        vectors, groups = self.vectors(ids), self.groups(ids)
        found: dict[int, Ranking] = {}
        left, wanted = [each for each in ids if each in vectors and each in groups], AT_FIRST
        while left:
            rankings = self.index.search(np.stack([vectors[each] for each in left]), wanted)
            found.update(zip(left, self._foreign(rankings, [groups[each] for each in left]), strict=True))
            left = [each for each in left if len(found[each]) < AROUND] if wanted < len(self.index) else []
            wanted *= MORE
        return [found.get(each, []) for each in ids]

    def _foreign(self, rankings: Sequence[Ranking], own: Sequence[int]) -> list[Ranking]:
        """What of each ranking is of other groups than its own."""
        theirs = self.groups(sorted({frame_id for ranking in rankings for frame_id, _ in ranking}))
        return [
            [hit for hit in ranking if theirs.get(hit[0], group) != group][:AROUND]
            for ranking, group in zip(rankings, own, strict=True)
        ]

    def _learn(self, ids: set[int]) -> None:
        new = sorted(ids - self.known.keys())
        for frame_id, ranking in zip(new, self.others(new) if new else [], strict=True):
            self.known[frame_id] = _mean(ranking)

    def _score(self, ranking: Ranking) -> float:
        usual = [self.known[frame_id] for frame_id, _ in ranking[:AROUND]]
        usual = [each for each in usual if not np.isnan(each)]
        if not usual:
            return float("nan")
        near, there = _mean(ranking), float(np.mean(usual))
        return near / there if there > 0 else (float("inf") if near > 0 else 0.0)


def _mean(ranking: Ranking) -> float:
    return float(np.mean([distance for _, distance in ranking[:NEAREST]])) if ranking else float("nan")


def confidence(score: float, calibration: npt.NDArray[np.floating]) -> float:
    """The share of the calibration's scores, and of this one, that are at least as large: above 0, at most 1.

    Args:
        score: of a query.
        calibration: ascending.
    """
    at_least = len(calibration) - int(np.searchsorted(calibration, np.float32(score), "left"))
    return (at_least + 1) / (len(calibration) + 1)
