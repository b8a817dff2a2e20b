"""A job's progress: written about once a second, alive between, and told to stop in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

import pytest
from sqlalchemy import event

from cbmir.errors import JobCancelled
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_workers.progress import JobProgress, heartbeat

JobOf = Callable[[str], Job]


@pytest.fixture
def running(database: Database) -> Job:
    with database.write() as session:
        job = jobs.claim(session, jobs.create(session, JobKind.EXTRACT, {}).id)
    assert job is not None
    return job


@pytest.fixture
def writes(database: Database) -> list[str]:
    """The UPDATEs that the database sees from here on."""
    seen: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE"):
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", listen)
    return seen


def test_a_thousand_steps_are_one_write_and_the_last_is_not_lost(
    database: Database, running: Job, writes: list[str], job_of: JobOf
) -> None:
    progress = JobProgress(database, running, Event())
    for step in range(1000):
        progress.update(step + 1, 1000, "extracting")
    assert len(writes) == 1
    assert job_of(running.id).done == 1
    progress.flush()
    progress.flush()
    assert len(writes) == 2
    assert (job_of(running.id).done, job_of(running.id).message) == (1000, "extracting")


def test_details_stay_until_others_come(database: Database, running: Job, job_of: JobOf) -> None:
    progress = JobProgress(database, running, Event())
    progress.update(1, 3, detail={"history": [1]})
    progress.update(2, 3)
    progress.flush()
    assert job_of(running.id).detail == {"history": [1]}


def test_a_silent_service_still_has_a_heartbeat(database: Database, running: Job, job_of: JobOf) -> None:
    with heartbeat(JobProgress(database, running, Event()), 0.05):
        before = job_of(running.id).heartbeat_at
        time.sleep(0.3)
        after = job_of(running.id).heartbeat_at
    assert before is not None
    assert after is not None
    assert after > before
    time.sleep(0.1)
    ended = job_of(running.id).heartbeat_at
    time.sleep(0.2)
    assert job_of(running.id).heartbeat_at == ended


def test_a_cancelled_job_is_told_so_at_its_next_step(database: Database, running: Job) -> None:
    progress = JobProgress(database, running, Event())
    progress.update(1, 9)
    with database.write() as session:
        jobs.request_cancel(session, running.id)
    with heartbeat(progress, 0.05):
        time.sleep(0.3)
    with pytest.raises(JobCancelled):
        progress.update(2, 9)
    assert progress.cancelled.is_set()


def test_a_stopping_worker_is_no_cancelled_job(database: Database, running: Job) -> None:
    stop = Event()
    progress = JobProgress(database, running, stop)
    stop.set()
    with pytest.raises(JobCancelled):
        progress.update(1, 2)
    assert not progress.cancelled.is_set()


def test_a_job_that_another_worker_took_over_is_let_go(database: Database, running: Job) -> None:
    progress = JobProgress(database, running, Event())
    with database.write() as session:
        jobs.release(session, running.id)
        jobs.claim(session, running.id)
        jobs.release(session, running.id)
    progress.beat()
    with pytest.raises(JobCancelled):
        progress.update(1, 2)


def test_a_heart_beats_on_after_a_database_that_was_locked_for_a_while(
    database: Database, running: Job, job_of: JobOf, caplog: pytest.LogCaptureFixture
) -> None:
    progress = JobProgress(database, running, Event())
    with heartbeat(progress, 0.05):
        with database.engine.connect() as connection:
            connection.exec_driver_sql("ALTER TABLE jobs RENAME TO elsewhere")
            connection.commit()
            time.sleep(0.2)
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO jobs")
            connection.commit()
        before = job_of(running.id).heartbeat_at
        time.sleep(0.2)
    assert caplog.text.count("no heartbeat: schema-outdated") == 1, "once, however often it fails"
    assert job_of(running.id).heartbeat_at != before


def test_a_heart_beats_on_after_an_error_of_any_kind_whose_words_stay_out_of_the_log(
    database: Database, running: Job, job_of: JobOf, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter((RuntimeError("Doe^John"), MemoryError()))

    def fail_twice(*_: object) -> None:
        for error in failures:
            raise error

    event.listen(database.engine, "before_cursor_execute", fail_twice)
    with heartbeat(JobProgress(database, running, Event()), 0.05):
        time.sleep(0.5)
    assert "no heartbeat: RuntimeError" in caplog.text
    assert "no heartbeat: MemoryError" in caplog.text
    assert "Doe" not in caplog.text
    assert job_of(running.id).heartbeat_at != running.heartbeat_at
