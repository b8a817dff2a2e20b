"""The pieces of a shared extraction: each claimed by one worker, and by another where that one has died.

A piece belongs to the job that works on it for as long as that job runs. Jobs whose worker has died are found by
their silent heartbeat; so a lost host's piece needs no clock and no lease of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.orm import Session

from cbmir.store import features
from cbmir.store.tables import ExtractionPiece, Job
from cbmir.types import JobState


def claim(
    session: Session, run: str, encoder_id: str, *, worker: str, started_at: datetime, frames: int
) -> ExtractionPiece | None:
    """Take a piece: one whose worker has died, else the next frames without a feature.

    Args:
        session: one that writes.
        run: id of the job that shares its work out.
        encoder_id: whose features are missing.
        worker: id of the job that will work on it.
        started_at: of that job, as it was claimed.
        frames: how many frames a new piece has at most.

    Returns:
        The piece, which no other worker has; None if the run has ended, or nothing is left to be claimed.
    """
    running = select(Job.id).where(Job.id == run, Job.state == JobState.RUNNING, ~Job.cancel_requested)
    if session.scalar(running.with_for_update()) is None:  # held until the end: one claims at a time
        return None
    orphan = session.scalar(
        select(ExtractionPiece).where(*_open(run), ~_worked_on()).order_by(ExtractionPiece.after).limit(1)
    )
    piece = orphan or _next(session, run, encoder_id, frames)
    if piece is not None:
        piece.worker, piece.claimed_at = worker, started_at
        session.add(piece)
        session.flush()
    return piece


def _next(session: Session, run: str, encoder_id: str, frames: int) -> ExtractionPiece | None:
    claimed = select(func.max(ExtractionPiece.up_to)).where(ExtractionPiece.run == run)
    after = session.scalar(claimed) or 0
    missing = features.missing_frames(session, encoder_id, after=after, limit=frames)
    return ExtractionPiece(run=run, after=after, up_to=missing[-1][0], failures={}) if missing else None


def finish(session: Session, piece: ExtractionPiece, extracted: int, failures: Mapping[int, str]) -> bool:
    """Note that a piece is done; False where it has been taken over by another worker meanwhile."""
    mine = update(ExtractionPiece).where(
        ExtractionPiece.id == piece.id,
        ExtractionPiece.worker == piece.worker,
        ExtractionPiece.claimed_at == piece.claimed_at,
    )
    reasons = {str(frame_id): reason for frame_id, reason in failures.items()}
    done = mine.values(extracted=extracted, failures=reasons).returning(ExtractionPiece.id)
    return session.scalars(done).first() is not None


def of_run(session: Session, run: str) -> list[ExtractionPiece]:
    """The pieces of a run, in order of their frames."""
    mine = select(ExtractionPiece).where(ExtractionPiece.run == run)
    return list(session.scalars(mine.order_by(ExtractionPiece.after)))


def forget(session: Session, run: str) -> None:
    """Drop the pieces of a run."""
    session.execute(delete(ExtractionPiece).where(ExtractionPiece.run == run))


def _open(run: str) -> tuple[ColumnElement[bool], ...]:
    return ExtractionPiece.run == run, ExtractionPiece.extracted.is_(None)


def _worked_on() -> ColumnElement[bool]:
    same = and_(Job.id == ExtractionPiece.worker, Job.started_at == ExtractionPiece.claimed_at)
    return exists().where(same, Job.state == JobState.RUNNING).correlate(ExtractionPiece)
