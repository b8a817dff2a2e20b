"""Measure how far apart a gallery's images are, once and again when it has grown."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import EmptyGallery
from cbmir.progress import Progress
from cbmir.services.retrieval.confidence.crowd import METHOD, Crowd
from cbmir.services.retrieval.gallery import GALLERIES, Gallery
from cbmir.settings import Settings
from cbmir.store import calibrations, encoders, features, frames
from cbmir.store.calibrations import Stored
from cbmir.store.session import Database
from cbmir.types import FloatArray, IdArray

SAMPLE = 1_000
"""Images that a calibration looks at: a confidence of 0.05 is then known to about 0.007."""

AT_ONCE = 64

GROWTH = 0.1
"""Share by which the number of features may change before they are measured anew."""

log = logging.getLogger(__name__)


def calibrate(database: Database, settings: Settings, encoder_id: str | None, progress: Progress) -> dict[str, Any]:
    """Measure and keep how far apart the images of an encoder's gallery are.

    Args:
        database: the installation's.
        settings: the installation's.
        encoder_id: None means the active one.
        progress: told now and then.

    Returns:
        `encoder`; `features`, how many there are; `sample`, how many were looked at.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderNotReady: if its features were freed.
        cbmir.errors.EmptyGallery: if there are no images of two patients.
        cbmir.errors.JobCancelled: if somebody asked to stop.
    """
    with database.read() as session:
        encoder = encoders.usable(session, encoder_id)
        gallery = GALLERIES.of(database, session, encoder, settings)
        frame_ids, group_ids = frames.grouped(session, encoder.id)
        scores = _measured(crowd(session, gallery), sample(frame_ids, group_ids), progress)
    if not len(scores):
        raise EmptyGallery(
            f"There are no images of two patients to calibrate the encoder {encoder.id} with.", "Ingest more."
        )
    with database.write() as session:
        encoders.usable(session, encoder.id)
        made = Stored(gallery.generation, len(gallery.frame_ids), METHOD, scores)
        calibrations.save(session, encoder.id, made)
    log.info("encoder %s: calibrated with %d of %d images", encoder.id, len(scores), len(gallery.frame_ids))
    return {"encoder": encoder.id, "features": len(gallery.frame_ids), "sample": len(scores)}


def refresh(database: Database, settings: Settings, encoder_id: str | None, progress: Progress) -> bool:
    """Calibrate an encoder again if its gallery has grown or shrunk by a tenth since, or was never calibrated.

    Returns:
        Whether it was.

    Raises:
        as `calibrate`, but for `EmptyGallery`: then there is nothing to do.
    """
    with database.read() as session:
        encoder = encoders.usable(session, encoder_id)
        known, count = calibrations.get(session, encoder.id, METHOD), features.count(session, encoder.id)
    if known is not None and abs(count - known.features) <= GROWTH * known.features:
        return False
    try:
        calibrate(database, settings, encoder.id, progress)
    except EmptyGallery as error:
        log.debug("encoder %s is not calibrated: %s", encoder.id, error.code)
        return False
    return True


def crowd(session: Session, gallery: Gallery, known: dict[int, float] | None = None) -> Crowd:
    """A gallery's images; what was `known` of how far apart they are is made use of."""

    return Crowd(
        gallery.index,
        lambda ids: features.vectors(session, gallery.encoder_id, ids),
        lambda ids: frames.groups_of(session, ids),
        {} if known is None else known,
    )


def sample(frame_ids: IdArray, group_ids: IdArray, size: int = SAMPLE, seed: int = 0) -> list[int]:
    """Frames by chance, from as many groups (patients) as can be: one of each, then another of each.

    Args:
        frame_ids, group_ids: int64 (n,), parallel.
        size: how many at most.
        seed: the same one gives the same frames.
    """
    order = np.random.default_rng(seed).permutation(len(frame_ids))
    shuffled = group_ids[order]
    by_group = np.argsort(shuffled, kind="stable")
    _, starts, counts = np.unique(shuffled[by_group], return_index=True, return_counts=True)
    turn = np.empty(len(order), np.int64)
    turn[by_group] = np.arange(len(order)) - np.repeat(starts, counts)
    return [int(each) for each in frame_ids[order[np.argsort(turn, kind="stable")[:size]]]]


def _measured(crowd: Crowd, ids: list[int], progress: Progress) -> FloatArray:
    """Ascending scores, float32 (m,)."""
    found = []
    for start in range(0, len(ids), AT_ONCE):
        progress.update(start, len(ids), "measuring how far apart the images are")
        found.append(crowd.own_scores(ids[start : start + AT_ONCE]))
    scores = np.concatenate([*found, np.empty(0)])
    return np.sort(scores[~np.isnan(scores)]).astype(np.float32)
