"""Retrieval across patients: who asks, who is searched, and what each network's features find.

All networks are asked the same. precision@k is the share of the k nearest (Euclidean) with the query's label, or
with its modality; a mean over the queries of all trials whose label another group has. Macro is the mean over
labels. Intervals of 95 % come from drawing whole groups anew, over the queries of all trials together; that of a
difference between two networks from the differences query by query.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from encoder_images import Images

from cbmir.evaluation.intervals import intervals
from cbmir.evaluation.scores import Table
from cbmir.types import FloatArray

DEPTHS = (1, 5, 20, 40, 60, 80, 100)
NEAR = "5"
"""The depth at which macro and the modalities are given, as a table's columns name it."""
LARGEST = 1000
"""Images of one modality in a gallery."""
EVERY = 10
"""One group in so many asks, of those that no training saw."""
LABEL, MODALITY = "sub-class", "modality"
MACRO = f"macro P@{NEAR}"
CLAIMED = f"{MACRO}, 2+ groups"
"""Over the labels that two groups or more ask for. One group is no ground for a claim; where it is not drawn, its
label is left out of the mean, whose interval then lies askew about the mean over all labels."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Trial:
    """Rows that ask, and rows that are searched."""

    queries: Rows
    gallery: Rows


@dataclass(frozen=True)
class Figure:
    """A mean over queries or labels, and its interval; None where the queries are of one group."""

    value: float
    interval: tuple[float, float] | None

    def as_json(self) -> dict[str, Any]:
        """As the report keeps it."""
        return {"value": self.value, "interval": self.interval}


def trial(images: Images, asking: Iterable[str], seed: int) -> Trial:
    """The images of these groups ask; the images of all others are searched, at most 1,000 a modality."""
    asks = np.isin(images.group, list(asking))
    chance, searched = np.random.default_rng(seed), []
    for modality in np.unique(images.modality):
        rows = np.flatnonzero(~asks & (images.modality == modality))
        searched.append(np.sort(chance.permutation(rows)[:LARGEST]))
    return Trial(np.flatnonzero(asks), np.concatenate(searched))


def needed(images: Images, trials: Sequence[Trial]) -> tuple[Images, list[Trial]]:
    """The images that ask or are searched, and the same trials of these alone."""
    rows = np.unique(np.concatenate([part for each in trials for part in (each.queries, each.gallery)]))
    fewer = (Trial(np.searchsorted(rows, each.queries), np.searchsorted(rows, each.gallery)) for each in trials)
    return images.part(rows), list(fewer)


def one_in_ten(groups: Iterable[str], draw: int) -> list[str]:
    """Every tenth of the groups in their order, another tenth for each draw."""
    return sorted(groups)[draw % EVERY :: EVERY]


def asked(images: Images, features: Sequence[FloatArray], trials: Sequence[Trial]) -> Table:
    """What is found: a row a query, a column for label and modality at each depth.

    Args:
        images: all of them.
        features: of all images, for each trial, float32 (n, dimension).
        trials: in the same order.
    """
    found = [_judged(images, each, one) for each, one in zip(features, trials, strict=True)]
    rows = np.concatenate([rows for rows, _ in found])
    names, labels = np.unique(images.label[rows], return_inverse=True)
    groups = np.unique(images.group[rows], return_inverse=True)[1].astype(np.int64)
    columns = [(str(depth), what) for what in (LABEL, MODALITY) for depth in DEPTHS]
    values = np.concatenate([values for _, values in found])
    return Table(columns, values, np.eye(len(names), dtype=np.bool_)[labels], names.tolist(), groups)


def _judged(images: Images, features: FloatArray, one: Trial) -> tuple[Rows, npt.NDArray[np.float64]]:
    """The queries that can be answered, and their precisions: float64 (q, c)."""
    rows = answerable(images, one)
    nearest = _nearest(features[rows], features[one.gallery], one.gallery)
    columns = []
    for names in (images.label, images.modality):
        right = names[nearest] == names[rows][:, None]
        columns += [right[:, :depth].mean(1) for depth in DEPTHS]
    return rows, np.stack(columns, axis=1)


def answerable(images: Images, one: Trial) -> Rows:
    """The queries whose label is in the gallery."""
    return one.queries[np.isin(images.label[one.queries], images.label[one.gallery])]


def _nearest(queries: FloatArray, searched: FloatArray, rows: Rows) -> Rows:
    """The rows of the nearest that are searched, the nearest first."""
    asking, gallery = queries.astype(np.float64), searched.astype(np.float64)
    squares = (asking**2).sum(1)[:, None] + (gallery**2).sum(1) - 2 * asking @ gallery.T
    return np.asarray(rows[np.argsort(squares, axis=1, kind="stable")[:, : max(DEPTHS)]])


def less(one: Table, other: Table) -> Table:
    """The differences of two networks' answers to the same queries."""
    return replace(one, values=one.values - other.values)


def figures(table: Table, modalities: npt.NDArray[np.str_]) -> dict[str, Figure]:
    """Every mean with its interval, by its name.

    Args:
        table: of a network, or of the differences between two.
        modalities: of its queries.
    """
    bounds = intervals(table)
    over_queries = dict(zip(table.columns, table.values.mean(axis=0).tolist(), strict=True))
    told = {
        f"{what} P@{depth}": Figure(value, _interval(bounds, "micro", depth, what))
        for (depth, what), value in over_queries.items()
    }
    told[MACRO] = _macro(table)
    told[CLAIMED] = _macro(_part(table, _of_several_groups(table)))
    for name in np.unique(modalities).tolist():
        told[f"{name} P@{NEAR}"] = near(table, modalities == name)
    return told


def near(table: Table, part: npt.NDArray[np.bool_]) -> Figure:
    """The precision@5 of the queries of a part."""
    small = _part(table, part)
    return Figure(float(small.values.mean()), _interval(intervals(small), "micro", NEAR, LABEL))


def _macro(table: Table) -> Figure:
    """The mean over labels of their precision@5; NaN where there is none."""
    if not len(table.values):
        return Figure(math.nan, None)
    small = _part(table, np.ones(len(table.values), np.bool_))
    return Figure(float(small.macro(small.macros()["macro"])[0]), _interval(intervals(small), "macro", NEAR, LABEL))


def _part(table: Table, part: npt.NDArray[np.bool_]) -> Table:
    """The precision@5 alone, of some queries."""
    column = (NEAR, LABEL)
    values = table.values[part][:, [table.columns.index(column)]]
    return Table([column], values, table.labels[part], table.names, table.groups[part])


def _of_several_groups(table: Table) -> npt.NDArray[np.bool_]:
    """The queries whose label is that of queries of two groups at least: bool (q,)."""
    several = [len(np.unique(table.groups[part])) > 1 for part in table.parts()]
    return np.asarray(table.parts()[several].any(axis=0))


def _interval(bounds: dict[str, Any] | None, mean: str, depth: str, what: str) -> tuple[float, float] | None:
    if bounds is None:
        return None
    low, high = bounds[mean]["at"][depth][what]
    return low, high


def queries(images: Images, trials: Sequence[Trial]) -> Rows:
    """The rows behind a table's, in the same order."""
    return np.concatenate([answerable(images, each) for each in trials])
