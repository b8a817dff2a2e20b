"""How good rankings are. A retrieved image is relevant if it has the query's label.

Every metric gives one number a query, between 0 and 1; `cbmir.evaluation.summary` averages them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

CodeArray = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rankings:
    """What each query retrieved, as numbers that stand for labels.

    Attributes:
        wanted: int64 (q,), each query's own label, from 0.
        retrieved: int64 (q, m), labels of what it retrieved, nearest first; m at least 1: the largest k, or the
            size of the gallery where that is smaller.
        relevant: int64 (q,), how many in the gallery have the query's label; at least 1.
    """

    wanted: CodeArray
    retrieved: CodeArray
    relevant: CodeArray

    def __len__(self) -> int:
        return len(self.wanted)

    def hits(self, k: int) -> npt.NDArray[np.bool_]:
        """Whether each of the k nearest is relevant: (q, min(k, m))."""
        hits: npt.NDArray[np.bool_] = self.retrieved[:, :k] == self.wanted[:, np.newaxis]
        return hits

    def of(self, label: int) -> Rankings:
        """Those of the queries that have this label."""
        chosen = self.wanted == label
        return Rankings(self.wanted[chosen], self.retrieved[chosen], self.relevant[chosen])


def accuracy(rankings: Rankings, k: int) -> Scores:
    """1 where the majority of the k nearest has the query's label, else 0."""
    nearest = rankings.retrieved[:, :k]
    queries = np.arange(len(nearest))
    votes = np.zeros((len(nearest), 1 + int(nearest.max(initial=0))), np.int64)
    np.add.at(votes, (queries[:, np.newaxis], nearest), 1)
    first_of_most = votes[queries[:, np.newaxis], nearest].argmax(axis=1)  # argmax gives the first of equals
    right: npt.NDArray[np.bool_] = nearest[queries, first_of_most] == rankings.wanted
    return right.astype(np.float64)


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


METRICS: Mapping[str, Callable[[Rankings, int], Scores]] = MappingProxyType(
    {
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "recall_capped": recall_capped,
        "map": average_precision,
    }
)

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "relevant": "a retrieved image that has the query's label",
        "accuracy": "share of queries whose label is that of the majority of the k retrieved; between labels "
        "equally frequent, the one whose nearest image is nearer",
        "precision": "relevant retrieved / retrieved; mean over the queries",
        "recall": "relevant retrieved / all relevant in the gallery; mean over the queries; it cannot exceed "
        "k / relevant",
        "recall_capped": "relevant retrieved / min(relevant in the gallery, k): recall measured by what k "
        "retrieved images can hold; mean over the queries",
        "map": "mean average precision at k: per query the sum of the precision at the rank of each relevant "
        "retrieved, divided by min(relevant in the gallery, k); mean over the queries",
        "at": "mean over all queries (micro): a label with many queries weighs more",
        "macro": "mean over the labels of each label's own mean: every label weighs the same",
    }
)
"""What the numbers mean, in the words that are printed beside them."""
