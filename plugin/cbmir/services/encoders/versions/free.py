"""Free the storage of an encoder's features: in pieces, so that others write in between and a kill does no harm."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from cbmir.errors import EncoderNotReady
from cbmir.progress import Progress
from cbmir.services.encoders.versions.overview import BYTES_A_NUMBER
from cbmir.services.retrieval.indexes import index_files
from cbmir.settings import Settings
from cbmir.store import activations, calibrations, encoders, features
from cbmir.store.session import Database

AT_ONCE = 2_000
"""Features deleted in one transaction: a fraction of a second."""


def size(session: Session, encoder_id: str) -> dict[str, Any]:
    """What freeing would free: `encoder`, `features` (how many), `bytes` (of the vectors alone).

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderNotReady: if it is the active one.
    """
    encoder = encoders.get(session, encoder_id)
    _refuse_active(session, encoder_id)
    count = features.count(session, encoder_id)
    return {"encoder": encoder_id, "features": count, "bytes": count * encoder.dimension * BYTES_A_NUMBER}


def free(database: Database, settings: Settings, encoder_id: str, progress: Progress) -> dict[str, Any]:
    """Delete all features of an encoder that does not answer, and its index; weights, split, evaluations stay.

    From the start on new pictures get no features of it. What is cut off goes on where it was.

    Returns:
        `encoder` and `freed`: how many features this run deleted.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderNotReady: if it is the active one, or somebody wants its features again meanwhile.
        cbmir.errors.JobCancelled: if somebody asked to stop; what is deleted is gone, the rest is not used.
    """
    with database.write() as session:
        encoders.get(session, encoder_id)
        encoders.set_kept(session, encoder_id, False)
        _refuse_active(session, encoder_id)
        calibrations.drop(session, encoder_id)
        total = features.count(session, encoder_id)
    done = 0
    while freed := _some(database, encoder_id):
        done += freed
        progress.update(done, max(total, done), "freeing")
    index_files.drop(database, settings, encoder_id)
    return {"encoder": encoder_id, "freed": done}


def _some(database: Database, encoder_id: str) -> int:
    with database.write() as session:
        return features.free(session, encoder_id, AT_ONCE)


def _refuse_active(session: Session, encoder_id: str) -> None:
    active = activations.active(session)
    if active is not None and active.id == encoder_id:
        raise EncoderNotReady(
            f"The encoder {encoder_id} answers the queries: its features are in use.",
            "Switch to another one first: `cbmir encoders activate`.",
        )
