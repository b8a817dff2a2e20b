"""Waiting for a job inside a request, for callers that want the answer in one call."""

from __future__ import annotations

import time
from threading import BoundedSemaphore

from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job

LONGEST_SECONDS = 60.0
"""Proxies commonly give up after a minute."""

AT_ONCE = 8
"""Requests that may wait at one time: half of the server's threads stay free for others."""

LATE = 0.08
"""By this share of the time that a job took its end may be noticed too late: asking more often costs more."""

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.003, 0.25

_places = BoundedSemaphore(AT_ONCE)


def finished(database: Database, job_id: str, seconds: float) -> Job:
    """The job as it is when it has ended, or after `seconds`, or at once where too many wait already.

    Raises:
        cbmir.errors.NotFound: if there is no such job.
    """
    until = time.monotonic() + min(seconds, LONGEST_SECONDS)
    if seconds <= 0 or not _places.acquire(blocking=False):
        return _job(database, job_id)
    try:
        return _watch(database, job_id, until)
    finally:
        _places.release()


def _watch(database: Database, job_id: str, until: float) -> Job:
    began = time.monotonic()
    while not (job := _job(database, job_id)).is_final and time.monotonic() < until:
        waited = time.monotonic() - began
        time.sleep(min(max(waited * LATE, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
    return job


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get(session, job_id)
