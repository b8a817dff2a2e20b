"""What a task does with a job's row: claim it once, do the duty, record whatever came of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select

from cbmir.settings import Settings
from cbmir.store import encoders, features, jobs, quarantine, tables
from cbmir.store import session as session_module
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers import client, duties, uploads
from cbmir_workers.tasks import Bench, perform, register

JobOf = Callable[[str], Job]
Upload = Callable[[int], dict[str, Any]]

ENCODER = "cnn-autoencoder-00000000"


def queued(bench: Bench, kind: JobKind, parameters: dict[str, Any]) -> str:
    return client.enqueue(bench.database, bench.app, kind, parameters).id


def instances(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count(tables.Instance.id))) or 0


def add_encoder(database: Database) -> None:
    with database.write() as session:
        session.add(
            tables.Encoder(
                id=ENCODER,
                architecture="cnn-autoencoder",
                weights_file="",
                weights_sha256="0" * 64,
                dimension=48,
                preprocessing={},
                training={},
                metrics={},
            )
        )


def give_features(database: Database) -> None:
    """Store a feature for each frame that lacks one."""
    with database.write() as session:
        frame_ids = [frame_id for frame_id, _ in features.missing_frames(session, ENCODER, after=0, limit=99)]
        vectors = np.ones((len(frame_ids), 48), np.float32)
        features.add_batch(session, encoders.get(session, ENCODER), frame_ids, vectors)


def test_every_kind_of_job_has_a_duty_and_a_task(bench: Bench) -> None:
    register(bench)
    assert set(duties.DUTIES) == set(JobKind)
    assert set(client.TASKS.values()) <= set(bench.app.tasks)


def test_an_ingest_job_ends_with_its_counts_and_without_its_files(
    bench: Bench, upload: Upload, job_of: JobOf, settings: Settings
) -> None:
    job_id = queued(bench, JobKind.INGEST, upload(3))
    perform(bench, job_id)
    job = job_of(job_id)
    assert job.state == JobState.SUCCEEDED
    assert job.result == {"ingested": 3, "duplicates": 0, "quarantined": 0, "failed": 0}
    assert (job.done, job.total, job.attempts) == (3, 3, 1)
    assert not (settings.uploads / "test").exists()


def test_what_was_set_aside_is_read_again_by_a_job_that_may_be_delivered_twice(
    bench: Bench, upload: Upload, job_of: JobOf, settings: Settings
) -> None:
    asked = upload(2)
    (settings.uploads / "test" / "0").write_text("no picture at all")
    perform(bench, queued(bench, JobKind.INGEST, asked))
    (kept,) = settings.set_aside.iterdir()
    with bench.database.read() as session:
        (row,) = quarantine.listing(session)
    again = queued(bench, JobKind.INGEST, {"retry": {"ids": [row.id], "code": None}})
    perform(bench, again)
    counts = {"ingested": 0, "duplicates": 0, "quarantined": 1, "failed": 0, "asked": 0, "gone": 0}
    assert (job_of(again).state, job_of(again).result) == (JobState.SUCCEEDED, counts)
    Image.new("L", (9, 9), 7).save(kept, "PNG")  # as if this version could read it
    for expected in (1, 0):
        later = queued(bench, JobKind.INGEST, {"retry": {"ids": [row.id], "code": None}})
        perform(bench, later)
        assert job_of(later).result == {**counts, "quarantined": 0, "ingested": expected}
    assert list(settings.set_aside.iterdir()) == []


def test_a_redelivered_message_does_nothing(bench: Bench, upload: Upload, job_of: JobOf) -> None:
    job_id = queued(bench, JobKind.INGEST, upload(1))
    perform(bench, job_id)
    finished = job_of(job_id)
    perform(bench, job_id)
    again = job_of(job_id)
    assert (again.attempts, again.finished_at, again.result) == (1, finished.finished_at, finished.result)


def test_of_two_workers_one_does_the_job(bench: Bench, upload: Upload, job_of: JobOf) -> None:
    job_id = queued(bench, JobKind.INGEST, upload(20))
    both = [Thread(target=perform, args=(bench, job_id)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert (job_of(job_id).state, job_of(job_id).attempts) == (JobState.SUCCEEDED, 1)
    assert job_of(job_id).result == {"ingested": 20, "duplicates": 0, "quarantined": 0, "failed": 0}


def test_a_failure_is_recorded_with_code_reason_and_remedy(bench: Bench, job_of: JobOf) -> None:
    job_id = queued(bench, JobKind.INGEST, {"upload": "gone", "files": {}})
    perform(bench, job_id)
    job = job_of(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "not-found")
    assert (job.error_message, job.error_remedy) == ("The uploaded files are no longer there.", uploads.REMEDY)


def test_a_failed_upload_is_kept_for_the_retry(
    bench: Bench, upload: Upload, job_of: JobOf, settings: Settings
) -> None:
    asked = upload(1)
    job_id = queued(bench, JobKind.INGEST, {**asked, "files": None})
    perform(bench, job_id)
    assert (settings.uploads / "test" / "0").is_file()
    with bench.database.write() as session:
        jobs.get(session, job_id).parameters = asked
    client.retry(bench.database, bench.app, job_id)
    perform(bench, job_id)
    assert job_of(job_id).state == JobState.SUCCEEDED


def test_an_unexpected_error_fails_the_job_and_its_words_stay_out_of_log_and_row(
    bench: Bench, job_of: JobOf, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = queued(bench, JobKind.INGEST, {"upload": "test", "files": "Doe^John"})
    (bench.settings.uploads / "test").mkdir(parents=True)
    with caplog.at_level(logging.INFO):
        perform(bench, job_id)
    job = job_of(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "internal")
    assert "Doe" not in f"{job.error_sentence}{caplog.text}"
    assert job_id in caplog.text


def test_an_outcome_that_cannot_be_recorded_is_logged_without_its_words(
    bench: Bench, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "BUSY_TIMEOUT_SECONDS", 0.05)
    impatient = Bench(settings, Database(settings.resolved_database_url), bench.app)
    register(impatient)
    job_id = queued(bench, JobKind.EVALUATE, {})
    with closing(sqlite3.connect(settings.data / "cbmir.sqlite", isolation_level=None)) as other:

        def lock(_duty: duties.Duty) -> duties.Result:
            other.execute("BEGIN IMMEDIATE")
            return {"file_name": "DOE^JANE.dcm"}

        monkeypatch.setitem(duties.DUTIES, JobKind.EVALUATE, lock)
        bench.app.tasks[client.TASKS[JobKind.EVALUATE]].apply(task_id=job_id)
    impatient.database.dispose()
    assert "DOE" not in caplog.text
    assert "[SQL" not in caplog.text
    said = f"job {job_id}: what came of it cannot be recorded: database-unavailable"
    assert caplog.messages.count(said) == 1, "and no traceback: the sweeper takes care of it"


def test_a_row_that_is_not_there_is_no_error(bench: Bench) -> None:
    perform(bench, "no-such-job")


def test_new_images_are_extracted_with_the_encoder_in_use(bench: Bench, upload: Upload) -> None:
    add_encoder(bench.database)
    perform(bench, queued(bench, JobKind.INGEST, upload(1)))
    with bench.database.read() as session:
        (follower,) = jobs.listing(session, kind=JobKind.EXTRACT)
    assert follower.parameters == {"encoder": ENCODER}
    assert follower.state == JobState.QUEUED


def test_a_new_encoder_gets_its_features(bench: Bench, upload: Upload, job_of: JobOf) -> None:
    perform(bench, queued(bench, JobKind.INGEST, upload(6)))
    job_id = queued(bench, JobKind.TRAIN, {"epochs": 1, "side": 16, "batch_size": 4})
    perform(bench, job_id)
    trained = job_of(job_id)
    assert trained.state == JobState.SUCCEEDED, trained.error_message
    assert len(trained.detail["history"]) == 1
    with bench.database.read() as session:
        (follower,) = jobs.listing(session, kind=JobKind.EXTRACT)
    assert follower.parameters == trained.result
    perform(bench, follower.id)
    result = job_of(follower.id).result
    assert result is not None
    assert (result["extracted"], result["failed"]) == (6, 0)


def followers(bench: Bench) -> list[Job]:
    with bench.database.read() as session:
        return jobs.listing(session, kind=JobKind.EXTRACT)


def test_without_an_encoder_nothing_follows(bench: Bench, upload: Upload) -> None:
    perform(bench, queued(bench, JobKind.INGEST, upload(1)))
    assert instances(bench.database) == 1
    assert followers(bench) == []


@pytest.mark.parametrize("missing", [True, False])
def test_known_images_are_extracted_if_their_features_are_missing(
    bench: Bench, upload: Upload, job_of: JobOf, missing: bool
) -> None:
    asked = upload(1)
    image = (bench.settings.uploads / "test" / "0").read_bytes()
    perform(bench, queued(bench, JobKind.INGEST, asked))
    (bench.settings.uploads / "test").mkdir()
    (bench.settings.uploads / "test" / "0").write_bytes(image)
    add_encoder(bench.database)
    if not missing:
        give_features(bench.database)
    again = queued(bench, JobKind.INGEST, asked)
    perform(bench, again)
    assert job_of(again).result == {"ingested": 0, "duplicates": 1, "quarantined": 0, "failed": 0}
    assert len(followers(bench)) == missing


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_what_an_unfinished_ingest_leaves_is_extracted_too(
    bench: Bench, upload: Upload, job_of: JobOf, state: str
) -> None:
    asked = upload(1)
    perform(bench, queued(bench, JobKind.INGEST, asked))
    add_encoder(bench.database)
    if state == "cancelled":
        (bench.settings.uploads / "test").mkdir()
    job_id = queued(bench, JobKind.INGEST, asked)
    with bench.database.write() as session:
        jobs.get(session, job_id).cancel_requested = state == "cancelled"
    perform(bench, job_id)
    assert job_of(job_id).state == state
    (follower,) = followers(bench)
    assert follower.parameters == {"encoder": ENCODER}


def test_a_stopping_worker_gives_the_job_back_and_it_counts_as_no_attempt(
    bench: Bench, upload: Upload, job_of: JobOf
) -> None:
    job_id = queued(bench, JobKind.INGEST, upload(2))
    bench.stop.set()
    perform(bench, job_id)
    assert (job_of(job_id).state, job_of(job_id).attempts) == (JobState.QUEUED, 0)
    bench.stop.clear()
    perform(bench, job_id)
    assert job_of(job_id).state == JobState.SUCCEEDED
