"""A few queries of an evaluation with their hits, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sqlalchemy.orm import Session

from cbmir.evaluation.example import Example, Shown
from cbmir.index.base import Ranking
from cbmir.pictures.shelf import Shelf
from cbmir.services.evaluation.trial import Trial, gallery_index
from cbmir.store import frames

MOST, HITS, SIDE = 12, 6, 112
"""Queries, hits of each, and the side of a thumbnail in pixels."""


def pick(session: Session, trial: Trial, shelf: Shelf) -> list[Example]:
    """The first query of each label, at most 12, with its 6 nearest images.

    Raises:
        cbmir.errors.NotFound: if a picture is gone from the shelf.
    """
    _, rows = np.unique(trial.queries.codes, return_index=True)
    rows = rows[:MOST]
    rankings = gallery_index(trial).search(trial.queries.vectors[rows], HITS)
    asked = trial.queries.frame_ids[rows].tolist()
    thumbnails = _thumbnails(session, shelf, {*asked, *(each for ranking in rankings for each, _ in ranking)})
    return [
        Example(
            Shown(thumbnails[frame_id], trial.names[code]),
            _hits(trial, code, ranking, thumbnails),
        )
        for frame_id, code, ranking in zip(asked, trial.queries.codes[rows].tolist(), rankings, strict=True)
        if frame_id in thumbnails
    ]


def _thumbnails(session: Session, shelf: Shelf, frame_ids: set[int]) -> dict[int, bytes]:
    stored = frames.by_id(session, sorted(frame_ids))  # without those deleted since the search
    return {frame_id: shelf.png(frame.picture, SIDE) for frame_id, frame in stored.items()}


def _hits(trial: Trial, wanted: int, ranking: Ranking, thumbnails: Mapping[int, bytes]) -> list[Shown]:
    places = np.searchsorted(trial.gallery.frame_ids, [frame_id for frame_id, _ in ranking])
    codes, related = trial.gallery.codes[places].tolist(), trial.sets.sharing(wanted)
    return [
        Shown(thumbnails[frame_id], trial.names[code], distance, bool(related[code]))
        for (frame_id, distance), code in zip(ranking, codes, strict=True)
        if frame_id in thumbnails
    ]
