"""Real worker processes on a real Redis: jobs run, and survive whatever happens to worker and broker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cbmir_migrations
from cbmir.settings import Settings
from cbmir.store import queries, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import JobKind, JobState
from cbmir_workers import client, embedded_redis
from cbmir_workers.up import child_environment

StartWorker = Callable[[str], "subprocess.Popen[bytes]"]
Upload = Callable[[int], dict[str, Any]]
House = Any
WaitFor = Callable[..., None]

FRAMES = 1200
"""Enough that a worker extracts for a second or more, a few at a time."""
SOME = 30


def question(**asked: object) -> dict[str, Any]:
    nothing = dict.fromkeys(("upload", "sop_instance_uid", "frame_number", "frame_id", "encoder"))
    return {**nothing, "k": 5, "where": Where().as_json(), "exclude_same_patient": False, **asked}


def test_images_handed_in_become_features_and_a_query_finds_them_while_others_wait(
    house: House, start_worker: StartWorker, upload: Upload
) -> None:
    asked = upload(6)
    query = (house.settings.uploads / "test" / "0").read_bytes()
    house.add_encoder()
    start_worker("index")
    start_worker("retrieve")
    house.finish(house.enqueue(JobKind.INGEST, asked))
    house.wait_for(lambda: house.count(tables.Feature) == 6)

    folder = house.settings.uploads / "query"
    folder.mkdir()
    (folder / "0").write_bytes(query)
    handed_in = {"folder": "query", "stored": "0", "file_name": "mine.png"}
    job_id = house.enqueue(JobKind.RETRIEVE, question(upload=handed_in))
    answer = house.finish(job_id).result
    assert answer is not None
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    assert "0.png" not in [hit["file_name"] for hit in answer["hits"]], "its own image is left out"
    with house.database.read() as session:
        kept = queries.get(session, job_id)
    assert (kept.hits, kept.k, kept.encoder_id) == (answer["hits"], 5, "test")
    assert list(house.settings.uploads.iterdir()) == []

    house.add_frames(2 * FRAMES)
    long = house.enqueue(JobKind.EXTRACT, {"encoder": "test"})
    house.extracted_more_than(SOME)
    house.finish(house.enqueue(JobKind.RETRIEVE, question(frame_id=1)))
    assert house.job(long).state == JobState.RUNNING


def test_a_worker_stopped_and_one_killed_in_mid_extraction_lose_nothing_and_repeat_nothing(
    house: House, start_worker: StartWorker
) -> None:
    house.add_frames(FRAMES)
    job_id = house.enqueue(JobKind.EXTRACT, {"encoder": house.add_encoder()})
    stopped = start_worker("index")
    house.extracted_more_than(SOME)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(30) == 0
    assert (house.job(job_id).state, house.job(job_id).attempts) == (JobState.QUEUED, 0), "given back at once"

    killed = start_worker("index")
    house.extracted_more_than(house.count(tables.Feature) + SOME)
    killed.kill()
    killed.wait()
    kept = house.count(tables.Feature)
    assert kept < FRAMES, "it was killed in time"
    assert house.job(job_id).state == JobState.RUNNING

    start_worker("index")
    job = house.finish(job_id)
    assert house.count(tables.Feature) == FRAMES
    assert job.result is not None
    assert (job.result["already"], job.result["extracted"], job.result["failed"]) == (kept, FRAMES - kept, 0)
    assert job.attempts == 2


def test_a_running_job_stops_when_it_is_cancelled_and_goes_on_when_retried(
    house: House, start_worker: StartWorker
) -> None:
    house.add_frames(FRAMES)
    job_id = house.enqueue(JobKind.EXTRACT, {"encoder": house.add_encoder()})
    start_worker("index")
    house.extracted_more_than(SOME)
    client.cancel(house.database, job_id)
    house.wait_for(lambda: house.job(job_id).state == JobState.CANCELLED)
    kept = house.count(tables.Feature)
    assert kept < FRAMES
    client.retry(house.database, house.app, job_id)
    result = house.finish(job_id).result
    assert result is not None
    assert (result["already"], result["extracted"]) == (kept, FRAMES - kept)


def test_a_restart_of_the_broker_loses_no_job_and_the_worker_finds_it_again(
    house: House, start_worker: StartWorker
) -> None:
    house.add_frames(1)
    asked = {"encoder": house.add_encoder()}
    before = [house.enqueue(JobKind.EXTRACT, asked) for _ in range(2)]
    embedded_redis.stop(house.settings)
    embedded_redis.ensure(house.settings)
    house.wait_for(lambda: client.broker_state(house.app).waiting.get("extract") == 2)
    start_worker("index")
    for job_id in before:
        house.finish(job_id)

    embedded_redis.stop(house.settings)
    while_down = house.enqueue(JobKind.EXTRACT, asked)
    assert house.job(while_down).sent_at is None
    embedded_redis.ensure(house.settings)
    house.finish(while_down)
    house.finish(house.enqueue(JobKind.EXTRACT, asked))


@pytest.fixture
def outside_redis(tmp_path: Path) -> Iterator[str]:
    """A Redis as an administrator runs one: over TCP, with a password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(embedded_redis.binary()), "--port", str(port), "--requirepass", "geheim", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://:geheim@127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


def test_several_roles_work_on_postgresql_and_an_outside_redis_and_stop_together(
    settings: Settings, postgres_url: str, outside_redis: str, wait_for: WaitFor, make_house: Callable[..., House]
) -> None:
    cbmir_migrations.upgrade(postgres_url)
    settings = replace(settings, database_url=postgres_url, broker_url=outside_redis)
    database, app = Database(postgres_url), client.make_app(settings)
    wait_for(lambda: client.broker_state(app).reachable)
    house = make_house(settings, database, app, wait_for)
    house.add_frames(3)
    command = [sys.executable, "-m", "cbmir", "worker", "--role", "retrieve", "--role", "index"]
    with subprocess.Popen(command, env=child_environment(settings)) as both:
        house.finish(house.enqueue(JobKind.EXTRACT, {"encoder": house.add_encoder()}))
        house.wait_for(lambda: house.count(tables.Feature) == 3)
        job_id = house.enqueue(JobKind.RETRIEVE, question(frame_id=1))
        house.wait_for(lambda: house.job(job_id).error_code == "empty-gallery")
        both.terminate()
        assert both.wait(30) == 0
    assert not (settings.data / "redis").exists(), "none of its own is started"
    app.close()
    database.dispose()
