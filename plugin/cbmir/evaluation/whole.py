"""How good a ranking of the whole gallery is: metrics of the ranks of all relevant images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cbmir.evaluation.labels import Bools
from cbmir.types import FloatArray

Ranks = npt.NDArray[np.int64]

AT_ONCE = 1 << 20
"""Differences held at once: 8 MiB."""


def ranks(query: FloatArray, gallery: FloatArray, relevant: Bools) -> Ranks:
    """Ranks of the relevant images, from 1 and ascending.

    Args:
        query: float32 (d,).
        gallery: float32 (n, d), by ascending id.
        relevant: bool (n,).

    Returns:
        int64 (r,); by Euclidean distance in float64, equal distances by the id, as `cbmir.index.exact` ranks.
    """
    order = np.argsort(_distances(query, gallery), kind="stable")
    places: Ranks = np.flatnonzero(relevant[order]) + 1
    return places


def average_precision(places: Ranks) -> float:
    """Mean of the precision at the rank of every relevant image."""
    return float((np.arange(1, len(places) + 1) / places).mean())


def r_precision(places: Ranks) -> float:
    """Precision at as many retrieved as there are relevant images."""
    return float((places <= len(places)).mean())


def ndcg(places: Ranks) -> float:
    """Sum of 1 / log2(rank + 1) over all relevant images / the same sum if they came first."""
    return float((1 / np.log2(places + 1)).sum() / (1 / np.log2(np.arange(2, len(places) + 2))).sum())


def reciprocal_rank(places: Ranks) -> float:
    """1 / rank of the first relevant image."""
    return 1 / int(places[0])


WHOLE: Mapping[str, Callable[[Ranks], float]] = MappingProxyType(
    {"map_all": average_precision, "r_precision": r_precision, "ndcg_all": ndcg, "mrr": reciprocal_rank}
)
"""Each takes the ranks of at least one relevant image and gives a number above 0 (R-precision: from 0) up to 1."""


def _distances(query: FloatArray, gallery: FloatArray) -> npt.NDArray[np.float64]:
    measured = np.empty(len(gallery), np.float64)
    step = max(1, AT_ONCE // max(1, len(query)))
    for start in range(0, len(gallery), step):
        differences = gallery[start : start + step].astype(np.float64) - query
        measured[start : start + step] = np.sqrt((differences * differences).sum(axis=1))
    return measured
