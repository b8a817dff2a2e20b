"""One table of all numbers: a row a query, a column for each metric at each k and over the whole gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cbmir.evaluation.labels import Bools
from cbmir.evaluation.metrics import METRICS, Rankings, Scores


@dataclass(frozen=True)
class Table:
    """The scores of an evaluation.

    Attributes:
        columns: (k as text, metric) of each of the c columns; k is empty for metrics over the whole gallery.
        values: float64 (q, c).
        labels: bool (q, l), which labels each query has.
        names: of the l labels.
    """

    columns: list[tuple[str, str]]
    values: Scores
    labels: Bools
    names: list[str]

    @classmethod
    def of(cls, rankings: Rankings, ks: Sequence[int]) -> Table:
        """Measure every metric of every query."""
        measured = {(str(k), name): metric(rankings, k) for k in ks for name, metric in METRICS.items()}
        measured |= {("", name): values for name, values in rankings.whole.items()}
        values = np.stack(list(measured.values()), axis=1)
        return cls(list(measured), values, rankings.sets.members[rankings.wanted], rankings.sets.names)

    def nested(self, row: Scores | Sequence[Any]) -> dict[str, Any]:
        """One thing a column, as `at` (k -> metric -> it) and `whole` (metric -> it)."""
        at: dict[str, dict[str, Any]] = {k: {} for k, _ in self.columns if k}
        whole: dict[str, Any] = {}
        for (k, name), value in zip(
            self.columns, row.tolist() if isinstance(row, np.ndarray) else row, strict=True
        ):
            (at[k] if k else whole)[name] = value
        return {"at": at, "whole": whole}
