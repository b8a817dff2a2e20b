"""One hit of each study or patient, the best: slices of one volume would crowd all others out of an answer."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from cbmir.index.base import Ranking
from cbmir.services.retrieval.scope import Scope
from cbmir.store import frames
from cbmir.types import FloatArray, IdArray, OnePer

MORE = 4
"""Times as many hits are looked at where those found are of too few."""
LOOKED_AT = 2_000
"""So many hits at most, before all frames of those studies or patients are left out instead."""


def search(session: Session, scope: Scope, feature: FloatArray, k: int, one_per: OnePer) -> Ranking:
    """The best hit of each of the k nearest studies or patients, nearest first.

    It is exact where the index is: the nearest frames are looked at in their order, and ever more of them, until
    they are of so many or there are no others. Where an exact index gives many of too few, the search goes on among
    the frames of all others, which are farther away than those looked at. A frame of which no study is known stands
    for itself.

    Args:
        session: one that reads.
        scope: what is searched.
        feature: float32 (d,).
        k: at least 1.
        one_per: of what one hit is wanted.
    """
    found: Ranking = []
    among: IdArray | None = None
    while True:
        best, is_all = _nearest(session, scope, feature, k - len(found), one_per, among)
        found += best
        if is_all:
            return found[:k]
        among = scope.without(_beside(session, best, one_per), among)


def _nearest(
    session: Session, scope: Scope, feature: FloatArray, k: int, one_per: OnePer, among: IdArray | None
) -> tuple[Ranking, bool]:
    """The best hits among some, and whether they are k or all there are."""
    wanted = k
    while True:
        nearest = scope.search(feature, wanted, among)
        best = _best(session, nearest, one_per)
        if len(best) >= k or len(nearest) < wanted:
            return best, True
        wanted *= MORE
        if wanted > LOOKED_AT and scope.gallery.index.is_exact:  # others lose hits where they are told many ids
            return best, False


def _beside(session: Session, best: Ranking, one_per: OnePer) -> IdArray:
    """Frames of the same studies or patients, and these hits themselves."""
    ids = [frame_id for frame_id, _ in best]
    beside = frames.beside_in_study if one_per is OnePer.STUDY else frames.beside_in_group
    return np.union1d(np.array(ids, np.int64), beside(session, ids))


def _best(session: Session, nearest: Ranking, one_per: OnePer) -> Ranking:
    ids = [frame_id for frame_id, _ in nearest]
    owners = frames.studies_of(session, ids) if one_per is OnePer.STUDY else frames.groups_of(session, ids)
    best: dict[tuple[str, object], tuple[int, float]] = {}
    for frame_id, distance in nearest:
        owner = owners.get(frame_id)
        best.setdefault(("frame", frame_id) if owner is None else ("owner", owner), (frame_id, distance))
    return list(best.values())
