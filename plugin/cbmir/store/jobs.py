"""Jobs: each change of state is one conditional UPDATE, so that two workers never both win.

queued -> running -> succeeded | failed | cancelled; a dead or retried job goes back to queued.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from cbmir.errors import BadRequest, NotFound
from cbmir.store.clock import clock
from cbmir.store.tables import Job, now
from cbmir.store.writing import storable
from cbmir.types import JobKind, JobState

Condition = ColumnElement[bool] | InstrumentedAttribute[bool]

MOST_ATTEMPTS = 3
WORKER_LOST = "worker-lost"


def create(session: Session, kind: JobKind, parameters: dict[str, Any]) -> Job:
    """Add a queued job; the caller sends its id to the broker once this session has committed."""
    named = {"id": str(uuid.uuid4()), "kind": kind.value, "state": JobState.QUEUED.value}
    job = Job(**named, parameters=parameters, created_at=clock(session))
    session.add(job)
    session.flush()
    return job


def get(session: Session, job_id: str) -> Job:
    """The job of this id, as the database has it now.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    job = session.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFound("There is no such job or answer, or not any more.", "Ask again, or see `cbmir jobs`.")
    return job


def listing(
    session: Session,
    *,
    state: JobState | None = None,
    kind: JobKind | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[Job]:
    """Jobs, newest first; of one state or kind if given."""
    statement = select(Job).order_by(Job.created_at.desc(), Job.id).limit(limit).offset(offset)
    if state is not None:
        statement = statement.where(Job.state == state)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    return list(session.scalars(statement))


def unfinished(session: Session) -> list[Job]:
    """The jobs that are queued or running."""
    return list(session.scalars(select(Job).where(Job.state.in_((JobState.QUEUED, JobState.RUNNING)))))


def at_work(session: Session, kind: JobKind, parameters: Mapping[str, Any]) -> Job | None:
    """A job that is queued or running and was asked the very same."""
    same = (job for job in unfinished(session) if job.kind == kind and job.parameters == parameters)
    return next(same, None)


def asked(session: Session, kind: JobKind, parameters: Mapping[str, Any], among: int) -> Job | None:
    """The latest job that was asked the very same and did not fail, looked for among so many of its kind."""
    bad = (JobState.FAILED, JobState.CANCELLED)
    found = listing(session, kind=kind, limit=among)
    return next((job for job in found if job.state not in bad and job.parameters == parameters), None)


def waiting(session: Session, kinds: Collection[JobKind]) -> list[Job]:
    """The queued jobs of these kinds, oldest first."""
    queued = select(Job).where(Job.state == JobState.QUEUED, Job.kind.in_(kinds))
    return list(session.scalars(queued.order_by(Job.created_at, Job.id)))


def counts(session: Session) -> dict[JobState, int]:
    """How many jobs are in each state."""
    found = session.execute(select(Job.state, func.count()).group_by(Job.state))
    return dict.fromkeys(JobState, 0) | {JobState(state): number for state, number in found}


def claim(session: Session, job_id: str) -> Job | None:
    """Take a queued job to run it; None if it is not queued any more: a redelivered message does no harm."""
    moment = clock(session)
    return _change(
        session,
        [Job.id == job_id, Job.state == JobState.QUEUED],
        state=JobState.RUNNING,
        attempts=Job.attempts + 1,
        started_at=moment,
        heartbeat_at=moment,
    )


def beat(session: Session, job_id: str, *, claimed: datetime | None = None) -> bool:
    """Say that the job's worker lives.

    Args:
        session: one that writes.
        job_id: the job.
        claimed: the `started_at` of the claimed job: a worker that was taken for dead is then told to stop, also
            when another has claimed the job since. (`attempts` would not do: a retry counts them afresh.)

    Returns:
        Whether to stop: somebody asked for it, or the job is no longer this worker's.
    """
    return _stop(_change(session, _held(job_id, claimed), heartbeat_at=clock(session)))


def report(
    session: Session,
    job_id: str,
    done: int,
    total: int,
    message: str,
    detail: Mapping[str, Any] | None = None,
    *,
    claimed: datetime | None = None,
) -> bool:
    """Write progress, and with it that the worker lives; `detail` of None leaves the one that is there.

    Returns:
        Whether to stop, as `beat` does.
    """
    values: dict[str, Any] = {"done": done, "total": total, "message": storable(message)}
    values["heartbeat_at"] = clock(session)
    if detail is not None:
        values["detail"] = dict(detail)
    return _stop(_change(session, _held(job_id, claimed), **values))


def succeed(session: Session, job_id: str, result: Mapping[str, Any], *, claimed: datetime | None = None) -> bool:
    """End a running job well; False if it was not running."""
    return _end(session, job_id, claimed, state=JobState.SUCCEEDED, result=dict(result))


def fail(
    session: Session, job_id: str, code: str, reason: str, remedy: str = "", *, claimed: datetime | None = None
) -> bool:
    """End a running job with an error's code, reason and remedy; False if it was not running."""
    error = {"error_code": code[:32], "error_message": storable(reason), "error_remedy": storable(remedy)}
    return _end(session, job_id, claimed, state=JobState.FAILED, **error)


def cancelled(session: Session, job_id: str, *, claimed: datetime | None = None) -> bool:
    """End a running job because it was asked to stop; False if it was not running."""
    return _end(session, job_id, claimed, state=JobState.CANCELLED)


def release(session: Session, job_id: str, *, claimed: datetime | None = None) -> bool:
    """Queue a running job again because its worker is stopping in good order: that counts as no attempt.

    Its message must be sent anew, by the sweeper if by nobody else. False if it was not running.
    """
    values = {"state": JobState.QUEUED, "attempts": Job.attempts - 1, **_UNSTARTED}
    return _change(session, _held(job_id, claimed), **values) is not None


def request_cancel(session: Session, job_id: str) -> Job:
    """Cancel a queued job at once, ask a running one to stop; one that has ended stays as it is.

    Raises:
        cbmir.errors.NotFound: if there is no such job.
    """
    queued = [Job.id == job_id, Job.state == JobState.QUEUED]
    if _change(session, queued, state=JobState.CANCELLED, finished_at=now()) is None:
        _change(session, _held(job_id, None), cancel_requested=True)
    return get(session, job_id)


def take_back(session: Session, job_ids: Sequence[str]) -> None:
    """Drop these jobs, as far as nobody has begun with them: their messages then wake nobody."""
    session.execute(delete(Job).where(Job.id.in_(job_ids), Job.state == JobState.QUEUED))


def retry(session: Session, job_id: str) -> Job:
    """Queue a failed or cancelled job again, under the same id and with fresh attempts.

    Raises:
        cbmir.errors.BadRequest: if it is queued, running or has succeeded.
        cbmir.errors.NotFound: if there is no such job.
    """
    ended = [Job.id == job_id, Job.state.in_((JobState.FAILED, JobState.CANCELLED))]
    job = _change(session, ended, **_AFRESH)
    if job is None:
        raise BadRequest(
            f"The job is {get(session, job_id).state}.", "Only a failed or cancelled job can be retried."
        )
    return job


def requeue_dead(session: Session, *, silent_since: datetime) -> list[Job]:
    """Deal with running jobs whose heartbeat is older than `silent_since`.

    One that was asked to stop is cancelled; one that died three times fails as `worker-lost`; the others are
    queued again.

    Returns:
        All of them, as they are now: those that are queued must be sent to the broker.
    """
    dead = [Job.state == JobState.RUNNING, Job.heartbeat_at < silent_since]
    stopped = _change_all(session, [*dead, Job.cancel_requested], state=JobState.CANCELLED, finished_at=now())
    given_up = _change_all(
        session,
        [*dead, Job.attempts >= MOST_ATTEMPTS],
        state=JobState.FAILED,
        finished_at=now(),
        error_code=WORKER_LOST,
        error_message=f"The worker died {MOST_ATTEMPTS} times at this job.",
        error_remedy="The worker's log tells more.",
    )
    return stopped + given_up + _change_all(session, dead, state=JobState.QUEUED, **_UNSTARTED)


def mark_sent(session: Session, job_id: str) -> None:
    """Note that the broker has taken the job's message."""
    session.execute(update(Job).where(Job.id == job_id).values(sent_at=clock(session)))


def unsent(session: Session, *, before: datetime) -> list[Job]:
    """Queued jobs made before this moment whose message the broker never took, oldest first."""
    waiting = select(Job).where(Job.state == JobState.QUEUED, Job.sent_at.is_(None), Job.created_at < before)
    return list(session.scalars(waiting.order_by(Job.created_at, Job.id)))


def unclaimed(session: Session, *, sent_before: datetime) -> list[Job]:
    """Queued jobs whose message was sent before this moment, oldest first: behind a long queue, or lost with it."""
    waiting = select(Job).where(Job.state == JobState.QUEUED, Job.sent_at < sent_before)
    return list(session.scalars(waiting.order_by(Job.sent_at, Job.id)))


_UNSTARTED: dict[str, Any] = {"sent_at": None, "started_at": None, "heartbeat_at": None}
_AFRESH: dict[str, Any] = {
    "state": JobState.QUEUED,
    "cancel_requested": False,
    **dict.fromkeys(("attempts", "done", "total"), 0),
    **dict.fromkeys(("message", "error_remedy"), ""),
    "detail": {},
    **dict.fromkeys(("result", "error_code", "error_message", "finished_at")),
    **_UNSTARTED,
}


def _held(job_id: str, claimed: datetime | None) -> list[ColumnElement[bool]]:
    conditions = [Job.id == job_id, Job.state == JobState.RUNNING]
    return conditions if claimed is None else [*conditions, Job.started_at == claimed]


def _change_all(session: Session, conditions: Sequence[Condition], **values: Any) -> list[Job]:
    statement = update(Job).where(*conditions).values(**values).returning(Job)
    options = {"populate_existing": True, "synchronize_session": False}
    return list(session.scalars(statement, execution_options=options))


def _change(session: Session, conditions: Sequence[Condition], **values: Any) -> Job | None:
    return next(iter(_change_all(session, conditions, **values)), None)


def _end(session: Session, job_id: str, claimed: datetime | None, **values: Any) -> bool:
    return _change(session, _held(job_id, claimed), finished_at=now(), **values) is not None


def _stop(job: Job | None) -> bool:
    return job is None or job.cancel_requested
