"""How a job is handed to the workers: what the web imports. No torch comes with it.

The row in the database is the job; the message that Redis carries holds nothing but its id and wakes a worker.
A row whose message could not be sent, or was lost, is sent again by the sweeper.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from cbmir.errors import BadRequest, Unavailable
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_workers import embedded_redis
from cbmir_workers.queues import QUEUES, TASKS

VISIBILITY_TIMEOUT_SECONDS = 7 * 24 * 3600
"""After this Redis hands an unacknowledged message out again: longer than the longest training. A dead worker's job
does not wait for it: the sweeper sees the silent heartbeat and sends the job again."""

SCHEMES = ("redis", "rediss", "redis+socket")

PATIENCE_SECONDS = 2.0
"""How long a broker may take to answer before it counts as unreachable."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BrokerState:
    """Whether the broker answers, how many messages wait in each queue, and, if it does not, why."""

    reachable: bool
    waiting: dict[str, int]
    reason: str = ""

    @property
    def cannot_write(self) -> bool:
        """Whether it is there, but has no room on its disk, or another trouble with it (Redis calls it MISCONF)."""
        return "MISCONF" in self.reason


def make_app(settings: Settings) -> Celery:
    """The Celery application of an installation; starts nothing and connects to nothing.

    Raises:
        cbmir.errors.BadRequest: if the broker's URL is not one of Redis.
    """
    app = Celery("cbmir", broker=_checked(embedded_redis.url(settings)), set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry=True,
        # one immediate retry: a pooled connection may have outlived the broker's restart
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
        # no limit, which the solo pool needs none of: it takes the next message when it has done with one. With a
        # limit a message that could not be acknowledged, since the broker went away meanwhile, counts for ever, and
        # the worker takes none any more
        worker_prefetch_multiplier=0,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=PATIENCE_SECONDS,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            "socket_connect_timeout": PATIENCE_SECONDS,
            "socket_timeout": 10 * PATIENCE_SECONDS,
            "socket_keepalive": True,
        },
    )
    return app


def enqueue(database: Database, app: Celery, kind: JobKind, parameters: Mapping[str, Any]) -> Job:
    """Record a job, then wake a worker for it.

    With the broker down the row stays queued, and the sweeper sends it when the broker is back.

    Args:
        database: the installation's.
        app: from `make_app`.
        kind: what to do.
        parameters: with what, as JSON; never a patient's identity.

    Returns:
        The job's row, queued.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the row cannot be written; then nothing is sent.
    """
    with database.write() as session:
        job = jobs.create(session, kind, dict(parameters))
    send(database, app, job)
    return job


def send(database: Database, app: Celery, job: Job) -> bool:
    """Wake a worker for a queued job; True if the broker took the message, which the row then says."""
    kind = JobKind(job.kind)
    try:
        app.send_task(TASKS[kind], task_id=job.id, queue=QUEUES[kind], ignore_result=True)
        with database.write() as session:
            jobs.mark_sent(session, job.id)
    except (OperationalError, redis.RedisError, OSError, Unavailable) as error:
        log.warning("job %s (%s) waits for the sweeper to send it: %s", job.id, kind, type(error).__name__)
        return False
    return True


def cancel(database: Database, job_id: str) -> Job:
    """Ask a job to stop: a queued one is cancelled at once, a running one at its next step.

    Raises:
        cbmir.errors.NotFound: if there is no such job.
    """
    with database.write() as session:
        return jobs.request_cancel(session, job_id)


def retry(database: Database, app: Celery, job_id: str) -> Job:
    """Queue a failed or cancelled job again, under its own id.

    Raises:
        cbmir.errors.NotFound: if there is no such job.
        cbmir.errors.BadRequest: if it is neither failed nor cancelled.
    """
    with database.write() as session:
        job = jobs.retry(session, job_id)
    send(database, app, job)
    return job


def broker_state(app: Celery) -> BrokerState:
    """Ask the broker, for a few seconds at most, how it is."""
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=0)
            channel: Any = connection.channel()
            return BrokerState(True, {queue: int(channel.client.llen(queue)) for queue in QUEUES.values()})
    except (OperationalError, redis.RedisError, OSError) as error:
        return BrokerState(False, {}, str(error))


def _checked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES or not rest:
        raise BadRequest("The broker's URL is not one of Redis.", "Write redis://HOST:6379/0 in CBMIR_BROKER_URL.")
    return url
