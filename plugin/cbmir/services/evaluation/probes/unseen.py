"""Probe of a trial: is a query told whose kind the gallery does not hold? Each label value is held out in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.evaluation.detection import auroc
from cbmir.progress import Progress
from cbmir.services.evaluation.trial import Side, Trial, gallery_index
from cbmir.services.retrieval.confidence.calibrate import sample
from cbmir.services.retrieval.confidence.crowd import AROUND, Crowd, confidence
from cbmir.types import FloatArray

MOST_QUERIES = 200
"""Queries of either kind that are asked for one value."""

CALIBRATED = 400
"""Images that the calibration of one gallery looks at; the figures are means over many galleries."""

LEVELS = (0.01, 0.05, 0.1, 0.2)
"""Levels of confidence at which the calibration is compared with what it promises."""

MEANS = ("auroc", "flagged", "mistaken")

Doubles = npt.NDArray[np.float64]


def unseen(trial: Trial, progress: Progress, level: float = 0.05, seed: int = 0) -> dict[str, Any] | None:
    """Hold each label value out of the gallery in turn; ask with images of it, and with images of the others.

    Args:
        trial: whose queries and gallery; values that no query has are passed over.
        progress: told after every value.
        level: confidence below which a query is flagged.
        seed: of the queries chosen where there are too many.

    Returns:
        `auroc`: the mean over the values; `flagged`: share of the queries of a held-out value whose confidence is
        below `level`; `mistaken`: that of the others, which should be at most `level`, both means over the values;
        `calibration`: level -> share of the others below it, pooled; `values`: value -> `queries` (of it), `auroc`,
        `flagged`, `mistaken`. None if there are fewer than two values.
    """
    noise, found, ordinary = np.random.default_rng(seed), dict[str, dict[str, Any]](), list[Doubles]()
    codes = [int(code) for code in np.unique(trial.queries.codes)]
    for number, code in enumerate(codes):
        progress.update(number, len(codes), "hold out what is searched")
        asked = _asked(trial, code, noise)
        if asked is None:
            continue
        absent, present = asked
        ordinary.append(present[1])
        found[trial.names[code]] = {
            "queries": len(absent[0]),
            "auroc": auroc(absent[0], present[0]),
            "flagged": float((absent[1] < level).mean()),
            "mistaken": float((present[1] < level).mean()),
        }
    if not found:
        return None
    pooled = np.concatenate(ordinary)
    means = {name: float(np.mean([row[name] for row in found.values()])) for name in MEANS}
    calibration = {str(each): float((pooled < each).mean()) for each in LEVELS}
    return {**means, "level": level, "calibration": calibration, "values": found}


Asked = tuple[Doubles, Doubles]
"""Scores and confidences of queries."""


def _asked(trial: Trial, code: int, noise: np.random.Generator) -> tuple[Asked, Asked] | None:
    """Queries of this value, and others, against the gallery without it; None if one of the three is empty."""
    sharing = trial.sets.sharing(code)
    gallery = trial.gallery.where(~sharing[trial.gallery.codes])
    there = np.isin(trial.queries.codes, gallery.codes) & ~sharing[trial.queries.codes]
    absent, present = (_some(trial.queries.where(kind), noise) for kind in (trial.queries.codes == code, there))
    if not len(gallery) or not len(absent) or not len(present):
        return None
    crowd = _crowd(replace(trial, gallery=gallery))
    own = crowd.own_scores(sample(gallery.frame_ids, gallery.groups, CALIBRATED))
    calibration = np.sort(own[~np.isnan(own)]).astype(np.float32)
    return _judged(crowd, absent, calibration), _judged(crowd, present, calibration)


def _some(side: Side, noise: np.random.Generator) -> Side:
    chosen = np.zeros(len(side), np.bool_)
    chosen[noise.permutation(len(side))[:MOST_QUERIES]] = True
    return side.where(chosen)


def _judged(crowd: Crowd, side: Side, calibration: FloatArray) -> Asked:
    scores = crowd.scores(crowd.index.search(side.vectors, AROUND))
    return scores, np.array([confidence(score, calibration) for score in scores])


def _crowd(trial: Trial) -> Crowd:
    side = trial.gallery

    def places(ids: Sequence[int]) -> list[int]:
        return [int(place) for place in np.searchsorted(side.frame_ids, np.array(ids, np.int64))]

    def vectors(ids: Sequence[int]) -> Mapping[int, FloatArray]:
        return {each: side.vectors[place] for each, place in zip(ids, places(ids), strict=True)}

    def groups(ids: Sequence[int]) -> Mapping[int, int]:
        return {each: int(side.groups[place]) for each, place in zip(ids, places(ids), strict=True)}

    return Crowd(gallery_index(trial), vectors, groups)
