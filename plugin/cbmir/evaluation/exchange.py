"""Whether two encoders differ by more than chance: the paired randomisation test, patient by patient.

If both were equally good, a patient's scores might as well be the other encoder's. So both scores of patients drawn
by chance are exchanged, again and again (Fisher, The Design of Experiments, 1935, III; for retrieval Smucker, Allan
and Carterette, CIKM 2007). Images of one patient resemble one another: whole patients are exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cbmir.evaluation.bootstrap import numbered
from cbmir.evaluation.labels import CodeArray
from cbmir.evaluation.metrics import Scores

EXCHANGES, SEED = 1000, 0
"""As many as let p fall to 0.001, the smallest that three decimals show."""
ROUNDING = 1e-9
"""Sums of the same numbers in another order differ by less."""

CELLS = 1 << 20
"""Signs of groups held at once: 8 MiB."""


def two_sided(differences: Scores, shares: Scores, groups: CodeArray) -> Scores:
    """How often each column's mean difference, exchanged, is at least as far from 0: p (c,), from 1 / (B + 1) to 1.

    One is added to both counts, for the draw that was really made (Davison and Hinkley, 1997, 4.3). Of g groups p
    is seldom below 2 / 2^g, which only all exchanged, or none, would reach.

    Args:
        differences: float64 (q, c), of each query's scores.
        shares: float64 (q,), what each query contributes to the mean.
        groups: int64 (q,), the group (patient) that each query is of.
    """
    places = numbered(groups)
    sums = np.zeros((1 + int(places.max()), differences.shape[1]))
    np.add.at(sums, places, shares[:, np.newaxis] * differences)
    least = np.abs(sums.sum(axis=0)) - ROUNDING
    as_far = sum((np.abs(signs @ sums) >= least).sum(axis=0) for signs in _drawn(len(sums)))
    return np.asarray((1 + as_far) / (1 + EXCHANGES))


def _drawn(groups: int) -> Iterator[Scores]:
    """A sign for each group in each draw: blocks (b, groups), -1 where the scores are exchanged."""
    random, step = np.random.default_rng(SEED), max(1, CELLS // groups)
    for start in range(0, EXCHANGES, step):
        yield random.choice((-1.0, 1.0), (min(step, EXCHANGES - start), groups))
