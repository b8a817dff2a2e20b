"""The Celery tasks: doorways. Claim the row, do the duty, record what came of it.

Whoever claims the row by its one conditional UPDATE does the job; for everybody else, such as a message that Redis
delivers twice, there is nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from celery import Celery, Task
from sqlalchemy.orm import Session

from cbmir.errors import CbmirError, JobCancelled
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir.unforeseen import places
from cbmir_workers import duties, uploads
from cbmir_workers.client import enqueue, send
from cbmir_workers.progress import JobProgress, heartbeat
from cbmir_workers.queues import TASKS

LOST = "taken over by another worker, which took this one for dead"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bench:
    """What the tasks of one worker process work with. `stop` is set when the process should end."""

    settings: Settings
    database: Database
    app: Celery
    stop: Event = field(default_factory=Event)


def register(bench: Bench) -> None:
    """Give the bench's application one task for each kind of job."""
    for name in TASKS.values():
        bench.app.task(name=name, bind=True, shared=False)(_doorway(bench))


def _doorway(bench: Bench) -> Callable[[Task[Any, Any]], None]:
    def doorway(task: Task[Any, Any]) -> None:
        job_id = str(task.request.id)
        try:
            perform(bench, job_id)
        except CbmirError as error:  # as where the database is away: the sweeper queues the job again
            log.warning("job %s: what came of it cannot be recorded: %s", job_id, error.code)
        except Exception as error:  # noqa: BLE001 - Celery would log its words, which may quote what was to be kept
            log.error("job %s: what came of it cannot be recorded\n%s", job_id, places(error))

    return doorway


def perform(bench: Bench, job_id: str) -> None:
    """Do a job, if it is still to be done, and record what came of it.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the outcome cannot be recorded; the sweeper then queues the job again.
    """
    with bench.database.write() as session:
        job = jobs.claim(session, job_id)
    if job is None:
        log.info("job %s is not queued: nothing to do", job_id)
        return
    log.info("job %s (%s) started, attempt %d", job.id, job.kind, job.attempts)
    progress = JobProgress(bench.database, job, bench.stop)
    with heartbeat(progress, bench.settings.heartbeat_seconds):
        outcome = _attempt(bench, job, progress)
    log.info("job %s (%s) %s", job.id, job.kind, outcome)


def _attempt(bench: Bench, job: Job, progress: JobProgress) -> str:
    kind = JobKind(job.kind)
    try:
        result = duties.DUTIES[kind](_duty(bench, job, progress))
        progress.flush()
        return _record_success(bench, job, kind, result)
    except JobCancelled:
        return _record_cancelled(bench, job) if progress.cancelled.is_set() else _give_back(bench, job)
    except CbmirError as error:
        return _record_failure(bench, job, error)
    except Exception as error:  # noqa: BLE001 - whatever a job dies of, its row must say so
        return _record_failure(bench, job, _unexpected(job, error))


def _duty(bench: Bench, job: Job, progress: JobProgress) -> duties.Duty:
    return duties.Duty(
        bench.settings,
        bench.database,
        job.id,
        job.parameters,
        progress,
        started_at=job.started_at or job.created_at,
        attempts=job.attempts,
        enqueue=lambda kind, parameters: enqueue(bench.database, bench.app, kind, parameters),
    )


def _record_success(bench: Bench, job: Job, kind: JobKind, result: dict[str, Any]) -> str:
    def succeed(session: Session) -> bool:
        told = duties.of_today(session, kind, job.parameters, result)
        if not jobs.succeed(session, job.id, told, claimed=job.started_at):
            return False
        duties.remember(session, kind, job.id, job.parameters, told)
        return True

    ended = _end(bench, job, succeed, result)
    if ended and (upload := uploads.of_job(kind, job.parameters)):
        uploads.discard(bench.settings, upload)
    return "succeeded" if ended else LOST


def _record_failure(bench: Bench, job: Job, error: CbmirError) -> str:
    def fail(session: Session) -> bool:
        return jobs.fail(session, job.id, error.code, error.reason, error.remedy, claimed=job.started_at)

    return f"failed: {error.code}" if _end(bench, job, fail) else LOST


def _record_cancelled(bench: Bench, job: Job) -> str:
    def cancel(session: Session) -> bool:
        return jobs.cancelled(session, job.id, claimed=job.started_at)

    return "cancelled" if _end(bench, job, cancel) else LOST


def _end(bench: Bench, job: Job, end: Callable[[Session], bool], result: dict[str, Any] | None = None) -> bool:
    """End a job by `end`, which says whether it was still this worker's, and queue the one that comes after.

    That one is found out beforehand: counting takes long, and others wait for the write lock. Whatever the ended
    job has recorded is committed by now: what is missing then is missing afterwards.
    """
    with bench.database.read() as session:
        next_up = duties.follow_up(session, JobKind(job.kind), result)
    with bench.database.write() as session:
        if not end(session):
            return False
        follower = jobs.create(session, *next_up) if next_up else None
    if follower:
        send(bench.database, bench.app, follower)
    return True


def _give_back(bench: Bench, job: Job) -> str:
    with bench.database.write() as session:
        released = jobs.release(session, job.id, claimed=job.started_at)
    if not released:
        return LOST
    send(bench.database, bench.app, job)
    return "given back, to go on later"


def _unexpected(job: Job, error: Exception) -> CbmirError:
    # the error's own words may quote a header, and so a patient: only its kind and place are told
    log.error("job %s (%s) failed\n%s", job.id, job.kind, places(error))
    return CbmirError(
        f"An unexpected {type(error).__name__}.", "The worker's log has its place under this job's id."
    )
