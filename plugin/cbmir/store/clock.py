"""The one clock of an installation: hosts that share a database need not agree on the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from cbmir.store.tables import Archive, ArchiveObject, Job, now
from cbmir.store.writing import is_sqlite
from cbmir.types import JobState

Column = InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]

NEVER_BEYOND: dict[Column, float] = {
    Archive.followed_until: 60.0,
    ArchiveObject.retry_at: 3600.0,
}
"""Into the future, in seconds, no moment of these is ever set further: a lease's end, and when an object is asked
for again. Tested against those who set them."""


def clock(session: Session) -> datetime:
    """The present moment, aware, in UTC, by the database server's clock; SQLite's is this machine's.

    Whatever one process writes and another compares with the present - leases, heartbeats - goes by this clock.
    """
    if is_sqlite(session):
        return now()
    return cast(datetime, session.scalar(select(func.clock_timestamp()))).astimezone(UTC)


def heed_a_step_back(session: Session) -> None:
    """Bring back what lies in the future because the clock was wrong when it was written, and has been set back.

    Else a dead worker's heartbeat would count as a living one's, an archive be nobody's, and an object not be asked
    for again, until the clock has caught up: for years, where it stood in another year. Who lives, renews its own.
    """
    moment = clock(session)
    alive = Job.state.in_((JobState.QUEUED, JobState.RUNNING))
    for said in (Job.heartbeat_at, Job.sent_at, Job.created_at):
        session.execute(update(Job).where(alive, said > moment).values({said: moment}))
    for due, seconds in NEVER_BEYOND.items():
        latest = moment + timedelta(seconds=seconds)
        session.execute(update(due.class_).where(due > latest).values({due: latest}))
