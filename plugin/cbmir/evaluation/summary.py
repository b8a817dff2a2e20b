"""Scores to averages: over all queries, over the labels, and for each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cbmir.evaluation.labels import CodeArray
from cbmir.evaluation.metrics import Rankings
from cbmir.evaluation.scores import Table

Averages = dict[str, dict[str, float]]
"""k, as text -> metric -> mean."""


def summarise(rankings: Rankings, table: Table, ks: Sequence[int], holders: CodeArray) -> dict[str, Any]:
    """All averages of an evaluation.

    Args:
        rankings: of at least one query.
        table: their scores.
        ks: numbers of retrieved images, each at least 1; where the gallery is smaller, all of it is retrieved.
        holders: int64 (l,), images of the gallery that have each label.

    Returns:
        `at`: `Averages` over all queries; `macro`: over the labels that queries have; `whole`: `micro` and `macro`
        of the metrics over the whole gallery; `per_class`: label -> `queries`, `gallery` (images of it
        that have the label), `at`, `whole`; `retrieved`: k -> images really retrieved.
    """
    micro = table.nested(table.values.mean(axis=0))
    asked = np.flatnonzero(table.labels.any(axis=0))
    means = np.stack([table.values[table.labels[:, label]].mean(axis=0) for label in asked])
    macro = table.nested(means.mean(axis=0))
    return {
        "at": micro["at"],
        "macro": macro["at"],
        "whole": {"micro": micro["whole"], "macro": macro["whole"]},
        "per_class": {
            table.names[label]: {
                "queries": int(table.labels[:, label].sum()),
                "gallery": int(holders[label]),
                **table.nested(row),
            }
            for label, row in zip(asked.tolist(), means, strict=True)
        },
        "retrieved": {str(k): min(k, rankings.retrieved.shape[1]) for k in ks},
    }
