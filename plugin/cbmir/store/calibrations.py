"""Calibrations: for each encoder the scores of a sample of the gallery, ascending."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import delete
from sqlalchemy.orm import Session

from cbmir.store.tables import Calibration
from cbmir.types import FloatArray

STORED = np.dtype("<f4")


@dataclass(frozen=True)
class Stored:
    """A calibration as it was made: see `cbmir.services.retrieval.confidence`.

    Attributes:
        generation: of the features it was made from.
        features: how many these were.
        method: how a score is made.
        scores: float32 (m,), ascending.
    """

    generation: int
    features: int
    method: str
    scores: FloatArray


def save(session: Session, encoder_id: str, made: Stored) -> None:
    """Keep a calibration in place of the encoder's last one."""
    session.merge(
        Calibration(
            encoder_id=encoder_id,
            generation=made.generation,
            features=made.features,
            method=made.method,
            scores=made.scores.astype(STORED).tobytes(),
        )
    )
    session.flush()


def get(session: Session, encoder_id: str, method: str) -> Stored | None:
    """The encoder's calibration; None where there is none of this method."""
    row = session.get(Calibration, encoder_id)
    if row is None or row.method != method:
        return None
    scores = np.frombuffer(row.scores, STORED).astype(np.float32)
    return Stored(row.generation, row.features, row.method, scores)


def drop(session: Session, encoder_id: str) -> None:
    """Forget the encoder's calibration."""
    session.execute(delete(Calibration).where(Calibration.encoder_id == encoder_id))
