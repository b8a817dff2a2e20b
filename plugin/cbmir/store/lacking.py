"""Whether an extraction would find anything to do: frames that lack a feature, and could have one."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cbmir.store import features
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState

LOOKED_AT = 50
"""The latest extractions among which the encoder's last one is looked for."""


def lacks_any(session: Session, encoder_id: str) -> bool:
    """Whether more frames lack a feature of this encoder than failed in its last extraction.

    A picture that is lost is lost: else every ingestion would bring an extraction with it that finds nothing but
    such frames again. `cbmir extract` tries them whenever it is asked to.
    """
    return features.count_missing(session, encoder_id) > _failed(session, encoder_id)


def _failed(session: Session, encoder_id: str) -> int:
    """How many frames failed in the last extraction of all that the encoder lacked; a helper's does not say."""
    ended = select(Job.result).where(Job.kind == JobKind.EXTRACT, Job.state == JobState.SUCCEEDED)
    for result in session.scalars(ended.order_by(Job.finished_at.desc()).limit(LOOKED_AT)):
        if result and result.get("encoder") == encoder_id and "run" not in result:
            return int(result.get("failed", 0))
    return 0
