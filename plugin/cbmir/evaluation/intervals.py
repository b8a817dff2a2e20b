"""Intervals of all averages, and the difference between two encoders asked the same queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cbmir.evaluation import bootstrap, exchange
from cbmir.evaluation.labels import Bools
from cbmir.evaluation.metrics import Scores
from cbmir.evaluation.scores import FEWEST_GROUPS, MACRO_SEVERAL, Table


def intervals(table: Table) -> dict[str, Any] | None:
    """Of the means over the queries, over the labels, and of each label.

    Returns:
        `level`, `resamples`, `seed`, `groups`; `micro`, `macro`, `macro_several` (None where no label's queries are
        of several groups) and `per_class` (label -> the same, or None where its queries are of one group), each
        with `at` and `whole` as the averages have them, [low, high] for a number. None where all queries are of
        one group.
    """
    if table.group_count() < FEWEST_GROUPS:
        return None
    macros, per_class = _Macros(table), {}
    for name, part, means in zip(table.asked(), table.parts(), _of(table, table.parts()), strict=True):
        macros.add(means)
        per_class[name] = nested(table, part, means)
    (micro,) = _of(table, everything(table))
    return {
        **how(),
        "groups": table.group_count(),
        "micro": table.nested(bootstrap.interval(micro)),
        MACRO_SEVERAL: None,
        **{name: table.nested(bootstrap.interval(means)) for name, means in macros.means()},
        "per_class": per_class,
    }


def nested(table: Table, part: Bools, means: Scores) -> dict[str, Any] | None:
    """Intervals of one part's means; None where the part is of one group."""
    if len(np.unique(table.groups[part])) < FEWEST_GROUPS:
        return None
    return table.nested(bootstrap.interval(means))


def difference(table: Table, other: Table) -> dict[str, Any]:
    """How much higher the first scores than the other, query by query the same.

    Returns:
        `micro`, `macro` and `macro_several` (None where no label's queries are of several groups), each with `at`
        and `whole`: of each number its `difference`, the `interval` [low, high] and the two-sided `p` of
        `cbmir.evaluation.exchange`; both None where all queries are of one group.
    """
    both = Table(table.columns, table.values - other.values, table.labels, table.names, table.groups)
    macros = _Macros(both)
    for means in _of(both, both.parts()):
        macros.add(means)
    (micro,) = _of(both, everything(both))
    return {
        "micro": both.nested(_tested(both, both.micro_shares(), micro)),
        MACRO_SEVERAL: None,
        **{
            name: both.nested(_tested(both, both.macro_shares(both.macros()[name]), means))
            for name, means in macros.means()
        },
    }


def everything(table: Table) -> Bools:
    """One part that has every query: bool (1, q)."""
    return np.ones((1, len(table.values)), np.bool_)


def how() -> dict[str, Any]:
    """How the intervals were made."""
    return {"level": bootstrap.LEVEL, "resamples": bootstrap.RESAMPLES, "seed": bootstrap.SEED}


class _Macros:
    """The means over labels in each resample; a label that a resample lacks is left out of it."""

    def __init__(self, table: Table) -> None:
        self._chosen = table.macros()
        self._labels = 0
        self._sums = {name: np.zeros((bootstrap.RESAMPLES, len(table.columns))) for name in self._chosen}
        self._counts = {name: np.zeros((bootstrap.RESAMPLES, 1)) for name in self._chosen}

    def add(self, means: Scores) -> None:
        """Those of the next label, float64 (RESAMPLES, c)."""
        for name, chosen in self._chosen.items():
            if chosen[self._labels]:
                self._sums[name] += np.nan_to_num(means)
                self._counts[name] += ~np.isnan(means[:, :1])
        self._labels += 1

    def means(self) -> Iterator[tuple[str, Scores]]:
        """Each mean, float64 (RESAMPLES, c); NaN where a resample lacks all its labels."""
        for name, sums in self._sums.items():
            counts = np.where(self._counts[name] == 0, np.nan, self._counts[name])
            yield name, sums / counts


def _of(table: Table, parts: Bools) -> Iterable[Scores]:
    return bootstrap.resampled(table.values, table.groups, parts)


def _tested(table: Table, shares: Scores, means: Scores) -> list[dict[str, Any]]:
    differences = (shares @ table.values).tolist()
    if table.group_count() < FEWEST_GROUPS:
        return [{"difference": value, "interval": None, "p": None} for value in differences]
    bounds, chances = bootstrap.interval(means), exchange.two_sided(table.values, shares, table.groups)
    return [
        {"difference": value, "interval": bound, "p": chance}
        for value, bound, chance in zip(differences, bounds.tolist(), chances.tolist(), strict=True)
    ]
