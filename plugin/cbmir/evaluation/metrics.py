"""How good the k nearest are. A retrieved image is relevant if it has a label in common with the query.

Every metric gives one number a query, between 0 and 1; `cbmir.evaluation.summary` averages them. Those over the
whole gallery are in `cbmir.evaluation.whole`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cbmir.evaluation.labels import Bools, CodeArray, LabelSets

Scores = npt.NDArray[np.float64]

CELLS = 1 << 22
"""Numbers held at once while votes are counted: 32 MiB."""


@dataclass(frozen=True)
class Rankings:
    """What each query retrieved, as codes that stand for the values of the label.

    Attributes:
        wanted: int64 (q,), each query's own code, from 0.
        retrieved: int64 (q, m), codes of what it retrieved, nearest first; m at least 1: the largest k, or the
            size of the gallery where that is smaller.
        relevant: int64 (q,), how many in the gallery have a label in common with the query; at least 1.
        sets: what the codes stand for.
        whole: metric over the whole gallery -> float64 (q,); see `cbmir.evaluation.whole.WHOLE`.
    """

    wanted: CodeArray
    retrieved: CodeArray
    relevant: CodeArray
    sets: LabelSets
    whole: Mapping[str, Scores]

    def __len__(self) -> int:
        return len(self.wanted)

    def hits(self, k: int) -> Bools:
        """Whether each of the k nearest is relevant: (q, min(k, m))."""
        return self.sets.shared(self.wanted, self.retrieved[:, :k])


def accuracy(rankings: Rankings, k: int) -> Scores:
    """1 where the label that most of the k nearest have is one of the query's, else 0.

    This is the k-nearest-neighbour classifier with uniform weights (Cover and Hart, 1967). Of labels equally
    frequent that one wins whose nearest image is nearer, and in one image the alphabetically first.
    """
    right = np.empty(len(rankings), np.float64)
    members = rankings.sets.members
    for rows in _blocks(len(rankings), members.size):
        winners = _elected(rankings.retrieved[rows, :k], members)
        right[rows] = members[rankings.wanted[rows], winners]
    return right


def precision(rankings: Rankings, k: int) -> Scores:
    """Relevant retrieved / retrieved."""
    scores: Scores = rankings.hits(k).mean(axis=1, dtype=np.float64)
    return scores


def recall(rankings: Rankings, k: int) -> Scores:
    """Relevant retrieved / relevant in the gallery."""
    scores: Scores = rankings.hits(k).sum(axis=1) / rankings.relevant
    return scores


def recall_capped(rankings: Rankings, k: int) -> Scores:
    """Relevant retrieved / min(relevant in the gallery, k)."""
    scores: Scores = rankings.hits(k).sum(axis=1) / np.minimum(rankings.relevant, k)
    return scores


def average_precision(rankings: Rankings, k: int) -> Scores:
    """Sum of the precision at the rank of every relevant retrieved / min(relevant in the gallery, k)."""
    hits = rankings.hits(k)
    precisions = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    scores: Scores = (precisions * hits).sum(axis=1) / np.minimum(rankings.relevant, k)
    return scores


def ndcg(rankings: Rankings, k: int) -> Scores:
    """Sum of 1 / log2(rank + 1) over the relevant retrieved / the same sum if all relevant came first.

    Järvelin and Kekäläinen, ACM TOIS 2002, with gains of 0 and 1.
    """
    hits = rankings.hits(k)
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = discounts.cumsum()[np.minimum(rankings.relevant, hits.shape[1]) - 1]
    scores: Scores = hits @ discounts / ideal
    return scores


METRICS: Mapping[str, Callable[[Rankings, int], Scores]] = MappingProxyType(
    {
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "recall_capped": recall_capped,
        "map": average_precision,
        "ndcg": ndcg,
    }
)


def _blocks(count: int, cells: int) -> Iterator[slice]:
    """Rows of a table, as many at once as `CELLS` allow if each needs so many cells."""
    step = max(1, CELLS // max(1, cells))
    return (slice(start, start + step) for start in range(0, count, step))


def _elected(nearest: CodeArray, members: Bools) -> CodeArray:
    """The label that wins each vote: codes (b, k), nearest first, give labels int64 (b,)."""
    codes = np.zeros((len(nearest), len(members)), np.int64)
    np.add.at(codes, (np.arange(len(nearest))[:, np.newaxis], nearest), 1)
    votes = codes @ members.astype(np.int64)
    leading = votes == votes.max(axis=1, keepdims=True)
    winners = np.full(len(nearest), -1, np.int64)
    for column in nearest.T:
        held = leading & members[column]
        first = (winners < 0) & held.any(axis=1)
        winners[first] = held[first].argmax(axis=1)
        if (winners >= 0).all():
            break
    return winners
