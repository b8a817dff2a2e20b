"""One hit of each study or patient, the best: slices of one volume would crowd all others out of an answer."""

from __future__ import annotations

from sqlalchemy.orm import Session

from cbmir.index.base import Ranking
from cbmir.services.retrieval.scope import Scope
from cbmir.store import frames
from cbmir.types import FloatArray, OnePer

MORE = 4
"""Times as many hits are looked at where those found are of too few."""


def search(session: Session, scope: Scope, feature: FloatArray, k: int, one_per: OnePer) -> Ranking:
    """The best hit of each of the k nearest studies or patients, nearest first.

    It is exact where the index is: the nearest frames are looked at in their order, and ever more of them, until
    they are of so many or there are no others. A frame of which no study is known stands for itself.

    Args:
        session: one that reads.
        scope: what is searched.
        feature: float32 (d,).
        k: at least 1.
        one_per: of what one hit is wanted.
    """
    wanted = k
    while True:
        nearest = scope.search(feature, wanted)
        best = _best(session, nearest, one_per)
        if len(best) >= k or len(nearest) < wanted:
            return best[:k]
        wanted *= MORE


def _best(session: Session, nearest: Ranking, one_per: OnePer) -> Ranking:
    ids = [frame_id for frame_id, _ in nearest]
    owners = frames.studies_of(session, ids) if one_per is OnePer.STUDY else frames.groups_of(session, ids)
    best: dict[tuple[str, object], tuple[int, float]] = {}
    for frame_id, distance in nearest:
        owner = owners.get(frame_id)
        best.setdefault(("frame", frame_id) if owner is None else ("owner", owner), (frame_id, distance))
    return list(best.values())
