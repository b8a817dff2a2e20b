"""How far a mean would move with other patients: whole groups of the queries are drawn anew, with replacement.

Images of one patient resemble one another, so patients are drawn and not images (the cluster bootstrap; Davison and
Hinkley, Bootstrap Methods and their Application, 1997, 3.8). The gallery stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cbmir.evaluation.labels import Bools, CodeArray
from cbmir.evaluation.metrics import Scores

RESAMPLES, SEED = 2000, 0
LOWEST, HIGHEST = 2.5, 97.5
"""Percentiles between which a mean lies in 95 % of the resamples."""
LEVEL = (HIGHEST - LOWEST) / 100

PARTS_AT_ONCE = 64
CELLS = 1 << 20
"""Counts of groups held at once: 8 MiB."""


def resampled(values: Scores, groups: CodeArray, parts: Bools) -> Iterator[Scores]:
    """The mean of each column in each resample, for one part of the queries after the other.

    A resample is a count for each group; the mean of a part is then the weighted sum of its groups' sums over the
    weighted number of its queries, so that no query is copied.

    Args:
        values: float64 (q, c).
        groups: int64 (q,), any numbers.
        parts: bool (p, q); a part's groups are drawn together with all others.

    Yields:
        float64 (RESAMPLES, c); NaN where a resample has no query of the part. All parts see the same resamples.
    """
    for start in range(0, len(parts), PARTS_AT_ONCE):
        yield from _resampled(values, groups, parts[start : start + PARTS_AT_ONCE])


def numbered(groups: CodeArray) -> CodeArray:
    """The groups as 0, 1, … by whose query comes first: int64 (q,).

    What chance draws then depends on the queries and their order alone, and not on the numbers that a database gave
    to the groups, which are others wherever the same images were ingested.
    """
    _, firsts, places = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(firsts.argsort().argsort()[places])


def interval(means: Scores) -> Scores:
    """The percentile interval (Efron, 1981) of each column: float64 (B, c) gives (c, 2); without rows of NaN."""
    known = means[~np.isnan(means[:, 0])]
    bounds: Scores = np.percentile(known, (LOWEST, HIGHEST), axis=0).T
    return bounds


def _resampled(values: Scores, groups: CodeArray, parts: Bools) -> Scores:
    numbers = numbered(groups)
    totals = [_totals(values[part], numbers[part]) for part in parts]
    means = np.full((len(parts), RESAMPLES, values.shape[1]), np.nan)
    for start, counts in _drawn(1 + int(numbers.max(initial=0))):
        for mean, (present, sizes, sums) in zip(means, totals, strict=True):
            weights = counts[:, present]
            number = weights @ sizes
            rows = start + np.flatnonzero(number)
            mean[rows] = (weights @ sums)[number > 0] / number[number > 0, np.newaxis]
    return means


def _totals(values: Scores, numbers: CodeArray) -> tuple[CodeArray, Scores, Scores]:
    """The groups (g,) that there are, and of each the queries, (g,), and the sum of their values, (g, c)."""
    present, places = np.unique(numbers, return_inverse=True)
    sums = np.zeros((len(present), values.shape[1]))
    np.add.at(sums, places, values)
    return present, np.bincount(places, minlength=len(present)).astype(np.float64), sums


def _drawn(groups: int) -> Iterator[tuple[int, Scores]]:
    """How often each group is in each resample: a block's first resample, and counts (b, groups)."""
    random, step = np.random.default_rng(SEED), max(1, CELLS // groups)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        yield start, random.multinomial(groups, np.full(groups, 1 / groups), size=rows).astype(np.float64)
