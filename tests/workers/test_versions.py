"""Preparing another encoder gives way; what arrives gets features of all that are kept; freeing and explaining."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cbmir.errors import JobCancelled
from cbmir.progress import Silence
from cbmir.store import encoders, features, frames, jobs, queries, tables
from cbmir.store.session import Database
from cbmir.types import JobKind, JobState
from cbmir_workers import client, duties, giving_way
from cbmir_workers.tasks import Bench, perform


@pytest.fixture
def two(database: Database) -> tuple[str, str]:
    """One object of six frames; an encoder that answers, with all features; another beside it, with none."""
    with database.write() as session:
        made = [
            tables.Frame(frame_number=n, picture="0" * 64, rows=8, columns=8, pipeline="test") for n in range(1, 7)
        ]
        session.add(tables.Instance(group=tables.Group(key="p"), file_name="a", sha256="0" * 64, frames=made))
        session.flush()
        first = _encoder(session, "net-1")
        features.add_batch(session, first, [frame.id for frame in made], np.eye(6, 4, dtype=np.float32))
        return first.id, _encoder(session, "net-2").id


def _encoder(session, id):  # type: ignore[no-untyped-def]
    return encoders.add(
        session, id=id, architecture="none", weights_file="", weights_sha256="0" * 64, dimension=4,
        preprocessing={}, training={}, metrics={},
    )  # fmt: skip


def test_what_was_ingested_gets_features_of_the_active_encoder_first_then_of_the_others(
    database: Database, two: tuple[str, str]
) -> None:
    active, beside = two
    with database.write() as session:
        assert duties.follow_up(session, JobKind.INGEST, None) == (JobKind.EXTRACT, {"encoder": beside})
        session.add(tables.Frame(instance_id=1, frame_number=7, picture="", rows=8, columns=8, pipeline="test"))
    with database.write() as session:
        assert duties.follow_up(session, JobKind.INGEST, None) == (JobKind.EXTRACT, {"encoder": active})
        then = duties.follow_up(session, JobKind.EXTRACT, {"encoder": active})
        assert then == (JobKind.EXTRACT, {"encoder": beside})
        jobs.create(session, *then)
        assert duties.follow_up(session, JobKind.EXTRACT, {"encoder": active}) is None, "one waits already"
        assert duties.follow_up(session, JobKind.EXTRACT, {"encoder": beside}) is None


def test_a_preparation_gives_way_and_the_active_encoder_does_not(
    database: Database, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    active, beside = two
    monkeypatch.setattr(giving_way, "LOOK_SECONDS", 0.0)
    preparing = giving_way.giving_way(database, beside, Silence())
    preparing.update(1, 6)
    with database.write() as session:
        jobs.create(session, JobKind.EXTRACT, {"encoder": beside})
        jobs.create(session, JobKind.RETRIEVE, {})
    preparing.update(2, 6)
    with database.write() as session:
        jobs.create(session, JobKind.EXTRACT, {"encoder": active})
    with pytest.raises(JobCancelled):
        preparing.update(3, 6)
    giving_way.giving_way(database, active, Silence()).update(3, 6)


def test_features_are_freed_by_a_job(
    bench: Bench, two: tuple[str, str], job_of: Callable[[str], tables.Job]
) -> None:
    active, beside = two
    with bench.database.write() as session:
        features.add_batch(session, encoders.get(session, beside), [1, 2], np.ones((2, 4), np.float32))
    job = client.enqueue(bench.database, bench.app, JobKind.FREE, {"encoder": beside})
    perform(bench, job.id)
    assert (job_of(job.id).state, job_of(job.id).result) == (JobState.SUCCEEDED, {"encoder": beside, "freed": 2})
    refused = client.enqueue(bench.database, bench.app, JobKind.FREE, {"encoder": active})
    perform(bench, refused.id)
    assert (job_of(refused.id).state, job_of(refused.id).error_code) == (JobState.FAILED, "encoder-not-ready")


def test_an_explanation_of_an_image_deleted_meanwhile_is_not_kept(
    bench: Bench, two: tuple[str, str], job_of: Callable[[str], tables.Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    active, _ = two
    hit = {"frame_id": 2, "rank": 1}
    with bench.database.write() as session:
        asked = jobs.create(session, JobKind.RETRIEVE, {})
        queries.save(session, job_id=asked.id, encoder_id=active, picture="", frame_id=1, k=1, where={}, hits=[hit])
    wanted = {"query": asked.id, "frame_id": 2}
    for deleted, state in ((False, JobState.SUCCEEDED), (True, JobState.FAILED)):

        def explain(duty: duties.Duty, deleted: bool = deleted) -> duties.Result:
            if deleted:
                with duty.database.write() as session:
                    session.delete(frames.by_id(session, [2])[2])
            return {"names": []}

        monkeypatch.setitem(duties.DUTIES, JobKind.EXPLAIN, explain)
        job = client.enqueue(bench.database, bench.app, JobKind.EXPLAIN, wanted)
        perform(bench, job.id)
        assert job_of(job.id).state == state
    assert job_of(job.id).result is None


@pytest.mark.parametrize("gone", [1, 2])
def test_an_answer_names_no_image_that_was_deleted_while_it_was_given(
    bench: Bench,
    two: tuple[str, str],
    job_of: Callable[[str], tables.Job],
    monkeypatch: pytest.MonkeyPatch,
    gone: int,
) -> None:
    active, _ = two

    def retrieve(duty: duties.Duty) -> duties.Result:
        with duty.database.write() as session:
            session.delete(frames.by_id(session, [gone])[gone])
        asked = {"frame_id": 1, "picture": "0" * 64}
        return {"encoder": active, "query": asked, "hits": [{"frame_id": 2}, {"frame_id": 3}], "priors": []}

    monkeypatch.setitem(duties.DUTIES, JobKind.RETRIEVE, retrieve)
    job = client.enqueue(bench.database, bench.app, JobKind.RETRIEVE, {"k": 2, "where": {}})
    perform(bench, job.id)
    with bench.database.read() as session:
        kept = session.get(tables.Query, job.id)
    if gone == 1:
        assert (job_of(job.id).error_code, job_of(job.id).result, kept) == ("not-found", None, None)
    else:
        assert job_of(job.id).result["hits"] == kept.hits == [{"frame_id": 3}]
