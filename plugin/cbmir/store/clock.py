"""The one clock of an installation: hosts that share a database need not agree on the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cbmir.store.tables import now
from cbmir.store.writing import is_sqlite


def clock(session: Session) -> datetime:
    """The present moment, aware, in UTC, by the database server's clock; SQLite's is this machine's.

    Whatever one process writes and another compares with the present - leases, heartbeats - goes by this clock.
    """
    if is_sqlite(session):
        return now()
    return cast(datetime, session.scalar(select(func.clock_timestamp()))).astimezone(UTC)
