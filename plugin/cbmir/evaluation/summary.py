"""Rankings to averages: over all queries, over the labels, and for each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cbmir.evaluation.metrics import METRICS, Rankings

Averages = dict[str, dict[str, float]]
"""k, as text -> metric -> mean."""


def averages(rankings: Rankings, ks: Sequence[int]) -> Averages:
    """The mean of every metric over the queries at each k; at least one query is needed."""
    return {str(k): {name: float(metric(rankings, k).mean()) for name, metric in METRICS.items()} for k in ks}


def summarise(rankings: Rankings, ks: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """All averages of an evaluation.

    Args:
        rankings: of at least one query.
        ks: numbers of retrieved images, each at least 1; where the gallery is smaller, all of it is retrieved.
        names: of the labels, by their number.

    Returns:
        `at`: `Averages` over all queries; `macro`: over the labels; `per_class`: label -> `queries`, `gallery`
        (relevant images in it) and `at`; `retrieved`: k -> images really retrieved.
    """
    per_class = {names[label]: _of_label(rankings.of(label), ks) for label in np.unique(rankings.wanted).tolist()}
    return {
        "at": averages(rankings, ks),
        "macro": _mean([each["at"] for each in per_class.values()]),
        "per_class": per_class,
        "retrieved": {str(k): min(k, rankings.retrieved.shape[1]) for k in ks},
    }


def _of_label(rankings: Rankings, ks: Sequence[int]) -> dict[str, Any]:
    return {
        "queries": len(rankings),
        "gallery": int(rankings.relevant[0]),
        "at": averages(rankings, ks),
    }


def _mean(parts: Sequence[Averages]) -> Averages:
    return {k: {name: float(np.mean([part[k][name] for part in parts])) for name in METRICS} for k in parts[0]}
