"""The life of a job: every change of state, who may make it, and who wins when two try, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, NotFound
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job, now
from cbmir.types import JobKind, JobState

ACTS: dict[str, Callable[[Session, str], Any]] = {
    "claim": jobs.claim,
    "succeed": lambda session, id: jobs.succeed(session, id, {}),
    "fail": lambda session, id: jobs.fail(session, id, "code", "why"),
    "cancelled": jobs.cancelled,
    "release": jobs.release,
    "request_cancel": jobs.request_cancel,
}
NEXT = {
    ("queued", "claim"): "running",
    ("queued", "request_cancel"): "cancelled",
    ("running", "succeed"): "succeeded",
    ("running", "fail"): "failed",
    ("running", "cancelled"): "cancelled",
    ("running", "release"): "queued",
}


def new_job(database: Database, state: str = "queued", **values: Any) -> str:
    with database.write() as session:
        job = jobs.create(session, JobKind.EXTRACT, {"encoder": None})
        session.execute(update(Job).where(Job.id == job.id).values(state=state, **values))
    return job.id


def read(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get(session, job_id)


def act(database: Database, name: str, job_id: str) -> Any:
    with database.write() as session:
        return ACTS[name](session, job_id)


def test_a_new_job_is_queued(any_database: Database) -> None:
    job = read(any_database, new_job(any_database))
    assert (job.state, job.kind, job.attempts, job.parameters) == ("queued", "extract", 0, {"encoder": None})
    assert (job.sent_at, job.started_at, job.heartbeat_at, job.result, job.detail) == (None, None, None, None, {})


def test_every_act_on_every_state(any_database: Database) -> None:
    ids = {(state, name): new_job(any_database, state) for state in JobState for name in ACTS}
    for (_, name), job_id in ids.items():
        act(any_database, name, job_id)
    found = {pair: read(any_database, job_id).state for pair, job_id in ids.items()}
    assert found == {pair: NEXT.get(pair, pair[0].value) for pair in ids}


def test_acts_say_whether_they_did_anything(any_database: Database) -> None:
    queued, running = new_job(any_database), new_job(any_database)
    assert act(any_database, "claim", running).state == "running"
    assert act(any_database, "claim", running) is None
    for name in ("succeed", "fail", "cancelled", "release"):
        assert act(any_database, name, queued) is False
    assert act(any_database, "succeed", running) is True
    assert act(any_database, "succeed", running) is False


def test_a_claim_notes_who_began_when(any_database: Database) -> None:
    before = now()
    job = act(any_database, "claim", new_job(any_database))
    assert job.attempts == 1
    assert before <= job.started_at == job.heartbeat_at <= now()


def test_of_many_threads_one_wins(any_database: Database) -> None:
    ids = [new_job(any_database) for _ in range(5)]
    together = threading.Barrier(4)
    won: list[str] = []

    def claim_all() -> None:
        for job_id in ids:
            together.wait()
            if act(any_database, "claim", job_id) is not None:
                won.append(job_id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == sorted(ids)
    assert {read(any_database, job_id).attempts for job_id in ids} == {1}


def test_a_second_claimer_waits_and_then_loses(any_database: Database) -> None:
    job_id = new_job(any_database)
    outcome: list[Any] = []
    with any_database.write() as session:
        assert jobs.claim(session, job_id) is not None
        other = threading.Thread(target=lambda: outcome.append(act(any_database, "claim", job_id)))
        other.start()
        other.join(0.3)
        assert outcome == []  # the first has not committed yet
    other.join()
    assert outcome == [None]


def test_progress_and_heartbeat(any_database: Database) -> None:
    job_id = new_job(any_database)
    act(any_database, "claim", job_id)
    with any_database.write() as session:
        session.execute(update(Job).values(heartbeat_at=now() - timedelta(hours=1)))
        assert jobs.report(session, job_id, 3, 10, "encoding\0", {"loss": [0.5]}) is False
        assert jobs.report(session, job_id, 4, 10, "encoding") is False
    job = read(any_database, job_id)
    assert (job.done, job.total, job.message, job.detail) == (4, 10, "encoding", {"loss": [0.5]})
    assert job.heartbeat_at is not None
    assert now() - job.heartbeat_at < timedelta(minutes=1)
    with any_database.write() as session:
        assert jobs.beat(session, job_id) is False
    again = read(any_database, job_id)
    assert again.heartbeat_at is not None
    assert again.heartbeat_at > job.heartbeat_at


def test_a_running_job_learns_that_it_should_stop(any_database: Database) -> None:
    job_id = new_job(any_database)
    act(any_database, "claim", job_id)
    asked = act(any_database, "request_cancel", job_id)
    assert (asked.state, asked.cancel_requested, asked.finished_at) == ("running", True, None)
    with any_database.write() as session:
        assert jobs.beat(session, job_id) is True
        assert jobs.report(session, job_id, 1, 2, "") is True
    act(any_database, "cancelled", job_id)
    assert read(any_database, job_id).finished_at is not None


def test_a_queued_job_is_cancelled_at_once(any_database: Database) -> None:
    job = act(any_database, "request_cancel", new_job(any_database))
    assert (job.state, job.finished_at is not None) == ("cancelled", True)


@pytest.mark.parametrize("state", ["queued", "succeeded", "failed", "cancelled"])
def test_who_reports_on_a_job_that_is_not_running_is_told_to_stop(database: Database, state: str) -> None:
    job_id = new_job(database, state)
    with database.write() as session:
        assert jobs.beat(session, job_id) is True
        assert jobs.report(session, job_id, 1, 2, "x") is True
    assert (read(database, job_id).done, read(database, job_id).heartbeat_at) == (0, None)


@pytest.mark.parametrize("retried", [False, True])
def test_a_worker_taken_for_dead_cannot_touch_its_successors_job(any_database: Database, retried: bool) -> None:
    job_id = new_job(any_database)
    first = act(any_database, "claim", job_id).started_at
    with any_database.write() as session:
        jobs.requeue_dead(session, silent_since=now() + timedelta(seconds=1))
        if retried:  # which counts the attempts afresh
            jobs.request_cancel(session, job_id)
            jobs.retry(session, job_id)
    second = act(any_database, "claim", job_id).started_at
    with any_database.write() as session:
        assert jobs.beat(session, job_id, claimed=first) is True
        assert jobs.report(session, job_id, 9, 9, "old", claimed=first) is True
        assert jobs.succeed(session, job_id, {}, claimed=first) is False
        assert jobs.fail(session, job_id, "x", "x", claimed=first) is False
        assert jobs.cancelled(session, job_id, claimed=first) is False
        assert jobs.release(session, job_id, claimed=first) is False
        assert jobs.beat(session, job_id, claimed=second) is False
        assert jobs.succeed(session, job_id, {"by": 2}, claimed=second) is True
    assert read(any_database, job_id).result == {"by": 2}


def test_a_failure_keeps_code_reason_and_remedy(any_database: Database) -> None:
    job_id = new_job(any_database, "running")
    with any_database.write() as session:
        assert jobs.fail(session, job_id, "c" * 40, "why\0", "do\0")
    job = read(any_database, job_id)
    assert (job.error_code, job.error_message, job.error_remedy) == ("c" * 32, "why", "do")
    assert job.error_sentence == "why do"
    assert job.finished_at is not None


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_retried_job_is_as_new_under_its_old_id(any_database: Database, state: str) -> None:
    job_id = new_job(any_database, state, attempts=3, done=5, total=9, cancel_requested=True, detail={"a": 1})
    fresh = read(any_database, new_job(any_database))
    with any_database.write() as session:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(
                error_code="x",
                error_message="y",
                error_remedy="z",
                sent_at=now(),
                finished_at=now(),
                heartbeat_at=now(),
            )
        )
        assert jobs.retry(session, job_id).id == job_id
    job = read(any_database, job_id)
    columns = {column.key for column in Job.__table__.columns} - {"id", "created_at"}
    assert {key: getattr(job, key) for key in columns} == {key: getattr(fresh, key) for key in columns}
    assert act(any_database, "claim", job_id) is not None


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_only_what_failed_is_retried(database: Database, state: str) -> None:
    job_id = new_job(database, state)
    with pytest.raises(BadRequest, match=state), database.write() as session:
        jobs.retry(session, job_id)


def test_dead_jobs_are_queued_again_but_not_for_ever(any_database: Database) -> None:
    job_id = new_job(any_database)
    for attempt in (1, 2, 3):
        assert act(any_database, "claim", job_id).attempts == attempt
        with any_database.write() as session:
            jobs.mark_sent(session, job_id)
            assert jobs.requeue_dead(session, silent_since=now() - timedelta(minutes=1)) == []
            (dead,) = jobs.requeue_dead(session, silent_since=now() + timedelta(minutes=1))
            assert (dead.id, dead.sent_at if dead.state == "queued" else None) == (job_id, None)
    job = read(any_database, job_id)
    assert (job.state, job.error_code) == ("failed", "worker-lost")
    assert job.finished_at is not None
    with any_database.write() as session:
        assert jobs.requeue_dead(session, silent_since=now() + timedelta(minutes=1)) == []


def test_a_dead_job_that_was_to_stop_is_cancelled(any_database: Database) -> None:
    job_id = new_job(any_database)
    act(any_database, "claim", job_id)
    act(any_database, "request_cancel", job_id)
    with any_database.write() as session:
        (dead,) = jobs.requeue_dead(session, silent_since=now() + timedelta(minutes=1))
    assert (dead.state, read(any_database, job_id).state) == ("cancelled", "cancelled")


def test_a_stop_in_good_order_is_no_attempt(any_database: Database) -> None:
    job_id = new_job(any_database)
    for _ in range(5):
        assert act(any_database, "claim", job_id).attempts == 1
        assert act(any_database, "release", job_id) is True
    job = read(any_database, job_id)
    assert (job.state, job.attempts, job.sent_at, job.heartbeat_at) == ("queued", 0, None, None)


def test_what_the_broker_did_not_take_is_found(any_database: Database) -> None:
    first, second, sent, running = (new_job(any_database) for _ in range(4))
    act(any_database, "claim", running)
    with any_database.write() as session:
        jobs.mark_sent(session, sent)
    later = now() + timedelta(seconds=1)
    with any_database.read() as session:
        assert [job.id for job in jobs.unsent(session, before=later)] == [first, second]
        assert jobs.unsent(session, before=now() - timedelta(minutes=1)) == []
        assert [job.id for job in jobs.unclaimed(session, sent_before=later)] == [sent]
        assert jobs.unclaimed(session, sent_before=now() - timedelta(minutes=1)) == []


def test_lists_and_counts(any_database: Database) -> None:
    ids = [new_job(any_database) for _ in range(4)]
    act(any_database, "claim", ids[0])
    with any_database.write() as session:
        trains = jobs.create(session, JobKind.TRAIN, {}).id
    with any_database.read() as session:
        assert [job.id for job in jobs.listing(session)] == [trains, *reversed(ids)]
        assert [job.id for job in jobs.listing(session, limit=2, offset=1)] == [ids[3], ids[2]]
        assert [job.id for job in jobs.listing(session, state=JobState.RUNNING)] == [ids[0]]
        assert [job.id for job in jobs.listing(session, kind=JobKind.TRAIN)] == [trains]
        counts = jobs.counts(session)
    assert counts == {state: {"queued": 4, "running": 1}.get(state, 0) for state in JobState}


@pytest.mark.parametrize("ask", [jobs.get, jobs.request_cancel, jobs.retry])
def test_an_unknown_job(any_database: Database, ask: Callable[[Session, str], Job]) -> None:
    with pytest.raises(NotFound, match="job"), any_database.write() as session:
        ask(session, "none")
