"""One table of all numbers: a row a query, a column for each metric at each k and over the whole gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cbmir.evaluation.labels import Bools, CodeArray
from cbmir.evaluation.metrics import METRICS, Rankings, Scores

MACRO, MACRO_SEVERAL = "macro", "macro_several"
"""The mean over all labels that queries have, and over those alone that queries of several groups have."""
FEWEST_GROUPS = 2
"""One group drawn again and again is always the same: there is no interval, and no ground for a claim."""


@dataclass(frozen=True)
class Table:
    """The scores of an evaluation.

    Attributes:
        columns: (k as text, metric) of each of the c columns; k is empty for metrics over the whole gallery.
        values: float64 (q, c).
        labels: bool (q, l), which labels each query has; at least one.
        names: of the l labels.
        groups: int64 (q,), the group (patient) that each query is of.
    """

    columns: list[tuple[str, str]]
    values: Scores
    labels: Bools
    names: list[str]
    groups: CodeArray

    @classmethod
    def of(cls, rankings: Rankings, ks: Sequence[int], groups: CodeArray) -> Table:
        """Measure every metric of every query; `groups` is int64 (q,)."""
        measured = {(str(k), name): metric(rankings, k) for k in ks for name, metric in METRICS.items()}
        measured |= {("", name): values for name, values in rankings.whole.items()}
        values = np.stack(list(measured.values()), axis=1)
        return cls(list(measured), values, rankings.sets.members[rankings.wanted], rankings.sets.names, groups)

    def asked(self) -> list[str]:
        """The labels that queries have, in the order of `parts`."""
        return [self.names[label] for label in np.flatnonzero(self.labels.any(axis=0)).tolist()]

    def parts(self) -> Bools:
        """The queries of each of these labels: bool (asked, q)."""
        return np.asarray(self.labels[:, self.labels.any(axis=0)].T)

    def micro_shares(self) -> Scores:
        """What each query contributes to the mean over all: float64 (q,), of sum 1."""
        return np.full(len(self.values), 1 / len(self.values))

    def macros(self) -> dict[str, Bools]:
        """Each mean over labels, and which of these labels it is over: bool (asked,). One that is over none is
        left out."""
        several = np.array([len(np.unique(self.groups[part])) >= FEWEST_GROUPS for part in self.parts()], np.bool_)
        return {MACRO: np.ones_like(several), **({MACRO_SEVERAL: several} if several.any() else {})}

    def macro_shares(self, chosen: Bools) -> Scores:
        """What each query contributes to the mean over the chosen of these labels, bool (asked,), of the label's
        own mean: float64 (q,), of sum 1."""
        parts = self.parts()[chosen]
        return np.asarray((parts / parts.sum(axis=1, keepdims=True)).mean(axis=0))

    def macro(self, chosen: Bools) -> Scores:
        """Each column's mean over the chosen of these labels of the label's own mean: float64 (c,)."""
        return np.asarray(np.mean([self.values[part].mean(axis=0) for part in self.parts()[chosen]], axis=0))

    def group_count(self) -> int:
        """How many groups the queries are of."""
        return len(np.unique(self.groups))

    def nested(self, row: Scores | Sequence[Any]) -> dict[str, Any]:
        """One thing a column, as `at` (k -> metric -> it) and `whole` (metric -> it)."""
        at: dict[str, dict[str, Any]] = {k: {} for k, _ in self.columns if k}
        whole: dict[str, Any] = {}
        for (k, name), value in zip(
            self.columns, row.tolist() if isinstance(row, np.ndarray) else row, strict=True
        ):
            (at[k] if k else whole)[name] = value
        return {"at": at, "whole": whole}
