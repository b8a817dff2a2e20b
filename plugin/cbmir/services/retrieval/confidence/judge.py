"""The confidence of one answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from cbmir.index.base import Ranking
from cbmir.services.retrieval.confidence.calibrate import crowd
from cbmir.services.retrieval.confidence.crowd import METHOD, confidence
from cbmir.services.retrieval.gallery import Gallery
from cbmir.settings import Settings
from cbmir.store import calibrations
from cbmir.store.session import Database

MOST_KNOWN = 200_000
"""Images of which a process keeps in mind how far apart they are: 20 MB."""

_Known = dict[int, float]
_known: WeakKeyDictionary[Database, dict[tuple[str, int], _Known]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Verdict:
    """Whether there is anything similar.

    Attributes:
        confidence: above 0, at most 1: see `cbmir.services.retrieval.confidence`; None where it cannot be told, as
            the encoder is not calibrated, or is not wanted.
        nothing_similar: whether it is below the level that the settings name; None likewise.
    """

    confidence: float | None = None
    nothing_similar: bool | None = None


def judge(database: Database, session: Session, settings: Settings, gallery: Gallery, ranking: Ranking) -> Verdict:
    """Judge an answer by its `AROUND` nearest images.

    Args:
        database: the installation's.
        session: one that reads it.
        settings: `nothing_similar_below` is the level.
        gallery: that was searched.
        ranking: what was found, nearest first.
    """
    stored = calibrations.get(session, gallery.encoder_id, METHOD)
    if settings.nothing_similar_below <= 0 or stored is None or not ranking:
        return Verdict()
    known = _kept(database, gallery.encoder_id, stored.generation)
    (score,) = crowd(session, gallery, known).scores([ranking])
    if math.isnan(score):
        return Verdict()
    found = confidence(float(score), stored.scores)
    return Verdict(found, found < settings.nothing_similar_below)


def _kept(database: Database, encoder_id: str, generation: int) -> _Known:
    """What is known of a calibrated gallery's images: it ages with the calibration, and goes with it."""
    here = _known.setdefault(database, {})
    for key in [key for key in here if key[0] == encoder_id and key[1] != generation]:
        here.pop(key, None)
    known = here.setdefault((encoder_id, generation), {})
    if len(known) > MOST_KNOWN:
        known.clear()
    return known
