"""Gives jobs back that nobody works on any more: dead workers', never sent, lost with a broker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Event, Thread

from celery import Celery

from cbmir.errors import CbmirError
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.clock import clock, heed_a_step_back
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers import uploads
from cbmir_workers.client import QUEUES, broker_state, send

SWEEPS_A_TIMEOUT = 3
"""How often the sweeper looks within one heartbeat timeout."""

GIVEN_UP_TIMEOUTS = 20
"""After so many heartbeat timeouts unclaimed a message counts as lost, also in a queue that is never empty."""

log = logging.getLogger(__name__)


def sweep(database: Database, app: Celery, settings: Settings) -> list[str]:
    """Look once.

    A running job whose heartbeat has been silent for the timeout is queued again; one that has died three times
    fails. A queued job is sent if it never was, if its queue is empty though it was sent a timeout ago, or if it
    was sent `GIVEN_UP_TIMEOUTS` ago. One message too many does no harm: only one worker can claim the row. What was
    written by a clock that has been set back since counts from now.

    Returns:
        The ids of the jobs that were sent.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer.
    """
    timeout = timedelta(seconds=settings.heartbeat_timeout_seconds)
    with database.write() as session:
        heed_a_step_back(session)
        dead = jobs.requeue_dead(session, silent_since=clock(session) - timeout)
    for job in dead:
        log.warning("job %s (%s) was left by a dead worker: %s", job.id, job.kind, job.state)
    back = [job for job in dead if job.state == JobState.QUEUED]
    return [job.id for job in (*back, *_forgotten(database, app, timeout)) if send(database, app, job)]


def _forgotten(database: Database, app: Celery, timeout: timedelta) -> list[Job]:
    """Queued jobs that no message stands for, as far as one can tell."""
    with database.read() as session:
        moment = clock(session)
        unsent = jobs.unsent(session, before=moment - timeout)
        unclaimed = jobs.unclaimed(session, sent_before=moment - timeout)
    waiting = broker_state(app).waiting if unclaimed else {}
    given_up = moment - GIVEN_UP_TIMEOUTS * timeout
    return unsent + [job for job in unclaimed if _is_lost(job, waiting, given_up)]


def _is_lost(job: Job, waiting: Mapping[str, int], given_up: datetime) -> bool:
    in_queue = waiting.get(QUEUES[JobKind(job.kind)])  # None while the broker does not answer
    return in_queue == 0 or (bool(in_queue) and job.sent_at is not None and job.sent_at < given_up)


class Sweeper:
    """The thread of a worker process that sweeps until it is told to stop."""

    def __init__(self, database: Database, app: Celery, settings: Settings, stop: Event) -> None:
        self._work = (database, app, settings)
        self._settings = settings
        self._every = settings.heartbeat_timeout_seconds / SWEEPS_A_TIMEOUT
        self._stop = stop
        self._thread = Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin; the first sweep is at once."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                sweep(*self._work)
                uploads.forget_old(self._settings, self._work[0])
            except (CbmirError, OSError) as error:  # database and disk may be back at the next sweep
                log.warning("no sweep: %s", getattr(error, "code", type(error).__name__))
            self._stop.wait(self._every)
