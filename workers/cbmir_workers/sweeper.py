"""Gives jobs back that nobody works on any more: dead workers', never sent, lost with a broker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Event

from celery import Celery

from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.clock import clock, heed_a_step_back
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers import uploads
from cbmir_workers.client import broker_state, send
from cbmir_workers.queues import QUEUES
from cbmir_workers.repeating import Repeating

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


def sweeper(database: Database, app: Celery, settings: Settings, stop: Event) -> Repeating:
    """The thread of a worker process that sweeps; the first time is at once."""

    def work() -> None:
        sweep(database, app, settings)
        uploads.forget_old(settings, database)

    return Repeating("sweep", work, stop, every=settings.heartbeat_timeout_seconds / SWEEPS_A_TIMEOUT)
