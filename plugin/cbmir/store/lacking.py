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
    """Whether more frames lack a feature of this encoder than failed in its last extraction, or some came since.

    A picture that is lost is lost: else every ingestion would bring an extraction with it that finds nothing but
    such frames again. `cbmir extract` tries them whenever it is asked to.
    """
    missing = features.count_missing(session, encoder_id)
    failed, up_to = _last(session, encoder_id)
    # those that failed may have been deleted since: new ones must not pass for them
    return missing > failed or bool(missing and features.missing_frames(session, encoder_id, after=up_to, limit=1))


def _last(session: Session, encoder_id: str) -> tuple[int, int]:
    """How many frames failed in the last extraction of all that the encoder lacked, and the highest id of a frame
    when it began, 0 where that was not noted yet; a helper's does not say."""
    ended = select(Job.result).where(Job.kind == JobKind.EXTRACT, Job.state == JobState.SUCCEEDED)
    for result in session.scalars(ended.order_by(Job.finished_at.desc()).limit(LOOKED_AT)):
        if result and result.get("encoder") == encoder_id and "run" not in result:
            return int(result.get("failed", 0)), int(result.get("up_to", 0))
    return 0, 0
