"""Scores to averages: over all queries, over the labels, and for each label or other part of the queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cbmir.evaluation import bootstrap, intervals
from cbmir.evaluation.labels import Bools, CodeArray
from cbmir.evaluation.scores import MACRO_SEVERAL, Table
from cbmir.labels import split

TYPICAL = 20


def summarise(table: Table, holders: CodeArray) -> dict[str, Any]:
    """All averages of an evaluation.

    Args:
        table: scores of at least one query.
        holders: int64 (l,), images of the gallery that have each label.

    Returns:
        `at`: k -> metric -> mean over all queries; `macro`: the same over the labels that queries have;
        `macro_several`: over those of them whose queries are of several groups, None where there are none; `whole`:
        `micro` and both of these of the metrics over the whole gallery; `per_class`: label -> `queries`, `groups`,
        `gallery` (images of it that have the label), `at`, `whole`.
    """
    micro = table.nested(table.values.mean(axis=0))
    macros = {name: table.nested(table.macro(chosen)) for name, chosen in table.macros().items()}
    held = dict(zip(table.names, holders.tolist(), strict=True))
    return {
        "at": micro["at"],
        MACRO_SEVERAL: None,
        **{name: mean["at"] for name, mean in macros.items()},
        "whole": {"micro": micro["whole"], **{name: mean["whole"] for name, mean in macros.items()}},
        "per_class": {
            name: {**_counts(table, part), "gallery": held[name], **_means(table, part)}
            for name, part in zip(table.asked(), table.parts(), strict=True)
        },
    }


def breakdown(table: Table, values: Sequence[str | None]) -> dict[str, Any]:
    """The averages of the queries of each value of another label, against the same gallery.

    Args:
        table: scores of at least one query.
        values: of that label, one a query; `a|b` counts for a and for b, and None for nothing.

    Returns:
        Value -> `queries`, `groups`, `at`, `whole` and `intervals` (`at` and `whole`; None where the queries are of
        one group), in alphabetical order.
    """
    sets = [set() if value is None else set(split(value)) for value in values]
    names = sorted(set().union(*sets))
    parts = np.array([[name in each for each in sets] for name in names], np.bool_).reshape(len(names), len(sets))
    resampled = bootstrap.resampled(table.values, table.groups, parts)
    return {
        name: {
            **_counts(table, part),
            **_means(table, part),
            "intervals": intervals.nested(table, part, means),
        }
        for name, part, means in zip(names, parts, resampled, strict=True)
    }


def typical(at: Mapping[str, Any]) -> str:
    """The k to show where there is room for one: 20, the paper's first, or the nearest to it that was asked for."""
    return min(at, key=lambda k: abs(int(k) - TYPICAL))


def _counts(table: Table, part: Bools) -> dict[str, int]:
    return {"queries": int(part.sum()), "groups": len(np.unique(table.groups[part]))}


def _means(table: Table, part: Bools) -> dict[str, Any]:
    return table.nested(table.values[part].mean(axis=0))
