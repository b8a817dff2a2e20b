"""Jobs that nobody works on any more are given back, on both databases; those in order are left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import select

import cbmir_migrations
from cbmir.services.archives.leasing import LEASE_SECONDS
from cbmir.settings import Settings
from cbmir.store import archives, jobs, ledger
from cbmir.store.clock import NEVER_BEYOND
from cbmir.store.session import Database
from cbmir.store.tables import Archive, ArchiveObject, Job, now
from cbmir.types import JobKind, JobState, RemoteInstance
from cbmir_workers import client, embedded_redis, queues
from cbmir_workers.sweeper import GIVEN_UP_TIMEOUTS, sweep, sweeper

LONG_AGO = timedelta(hours=1)
YEAR = timedelta(days=365)
TIMEOUT = timedelta(seconds=5)
"""The heartbeat timeout of the settings here."""
WaitFor = Callable[..., None]


class House:
    """A database with an application, and ways to make jobs grow old."""

    def __init__(self, database: Database, app: Celery, settings: Settings) -> None:
        self.database, self.app, self.settings = database, app, settings

    def sweep(self) -> list[str]:
        return sweep(self.database, self.app, self.settings)

    def sent(self, kind: JobKind = JobKind.EXTRACT) -> str:
        return client.enqueue(self.database, self.app, kind, {}).id

    def claim(self, job_id: str) -> None:
        with self.database.write() as session:
            assert jobs.claim(session, job_id)

    def age(self, job_id: str, *columns: str, by: timedelta = LONG_AGO) -> None:
        with self.database.write() as session:
            for column in columns:
                setattr(jobs.get(session, job_id), column, now() - by)

    def look(self, job_id: str) -> Job:
        with self.database.read() as session:
            return jobs.get(session, job_id)

    def waiting(self, kind: JobKind = JobKind.EXTRACT) -> int:
        return client.broker_state(self.app).waiting[queues.QUEUES[kind]]

    def lose_messages(self) -> None:
        with self.app.connection_for_write() as connection:
            channel: Any = connection.channel()
            channel.client.flushall()


@pytest.fixture
def house(any_database: Database, app: Celery, settings: Settings) -> House:
    return House(any_database, app, settings)


@pytest.mark.usefixtures("broker")
def test_what_is_in_order_is_left_alone(house: House) -> None:
    job_ids = [house.sent() for _ in range(3)]
    house.claim(job_ids[0])
    assert house.sweep() == []
    assert house.waiting() == 3


@pytest.mark.usefixtures("broker")
def test_a_job_whose_heart_is_silent_is_sent_again(house: House) -> None:
    job_id = house.sent()
    house.claim(job_id)
    house.age(job_id, "heartbeat_at")
    assert house.sweep() == [job_id]
    assert (house.look(job_id).state, house.look(job_id).attempts) == (JobState.QUEUED, 1)
    assert house.sweep() == []


@pytest.mark.usefixtures("broker")
def test_a_job_that_died_three_times_fails(house: House) -> None:
    job_id = house.sent()
    for _ in range(3):
        house.claim(job_id)
        house.age(job_id, "heartbeat_at")
        swept = house.sweep()
    assert swept == []
    job = house.look(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "worker-lost")
    assert job.error_message


@pytest.mark.usefixtures("broker")
def test_a_dead_job_that_was_cancelled_is_not_begun_again(house: House) -> None:
    job_id = house.sent()
    house.claim(job_id)
    client.cancel(house.database, job_id)
    house.age(job_id, "heartbeat_at")
    assert house.sweep() == []
    assert house.look(job_id).state == JobState.CANCELLED


def test_what_was_never_sent_is_sent_when_the_broker_is_back(house: House) -> None:
    job_id = house.sent()
    house.age(job_id, "created_at")
    assert house.sweep() == [], "the broker is still down"
    with embedded_redis.running(house.settings):
        assert house.sweep() == [job_id]
        assert house.look(job_id).sent_at is not None
        assert house.waiting() == 1


@pytest.mark.usefixtures("broker")
def test_a_message_that_was_lost_is_sent_again(house: House) -> None:
    job_id = house.sent()
    house.lose_messages()
    assert house.sweep() == [], "it may just have been taken from the queue"
    house.age(job_id, "sent_at")
    assert house.sweep() == [job_id]
    assert house.waiting() == 1


@pytest.mark.usefixtures("broker")
def test_a_message_that_waits_behind_others_is_not_lost(house: House) -> None:
    job_id = house.sent(JobKind.TRAIN)
    house.age(job_id, "created_at")
    house.age(job_id, "sent_at", by=(GIVEN_UP_TIMEOUTS - 1) * TIMEOUT)
    assert house.sweep() == []
    assert house.waiting(JobKind.TRAIN) == 1


@pytest.mark.usefixtures("broker")
def test_a_message_that_was_lost_from_a_busy_queue_is_sent_again_in_the_end(house: House) -> None:
    lost = house.sent()
    house.lose_messages()
    house.sent()
    house.age(lost, "sent_at", by=(GIVEN_UP_TIMEOUTS + 1) * TIMEOUT)
    assert house.sweep() == [lost]
    assert house.waiting() == 2
    assert house.sweep() == [], "it was sent just now"


def test_nothing_is_sent_to_a_broker_that_is_down(house: House) -> None:
    with embedded_redis.running(house.settings):
        job_id = house.sent()
    house.age(job_id, "sent_at")
    sent_at = house.look(job_id).sent_at
    assert house.sweep() == []
    assert house.look(job_id).sent_at == sent_at


@pytest.mark.usefixtures("broker")
def test_two_sweepers_give_a_dead_job_back_once(house: House) -> None:
    job_ids = [house.sent() for _ in range(5)]
    for job_id in job_ids:
        house.claim(job_id)
        house.age(job_id, "heartbeat_at")
    found: list[str] = []
    both = [Thread(target=lambda: found.extend(house.sweep())) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert {house.look(job_id).attempts for job_id in job_ids} == {1}
    assert set(found) == set(job_ids)


@pytest.mark.usefixtures("broker")
def test_the_thread_survives_a_database_that_does_not_answer_and_says_so_once(
    house: House, tmp_path: Path, wait_for: WaitFor, caplog: pytest.LogCaptureFixture
) -> None:
    empty, stop = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}"), Event()
    settings = replace(house.settings, heartbeat_timeout_seconds=0.3)
    with caplog.at_level(logging.INFO):
        sweeping = sweeper(empty, house.app, settings, stop)
        sweeping.start()
        wait_for(lambda: "no sweep: schema-outdated" in caplog.text)
        stop.wait(0.5)
        cbmir_migrations.upgrade(empty.url)
        wait_for(lambda: "sweep goes on" in caplog.text)
        stop.set()
        sweeping.join()
    assert caplog.text.count("no sweep") == 1
    empty.dispose()


@pytest.mark.usefixtures("broker")
def test_a_dead_job_of_a_clock_that_was_set_back_is_found(house: House) -> None:
    running, queued = house.sent(), house.sent()
    house.claim(running)
    house.lose_messages()
    house.age(running, "heartbeat_at", "started_at", by=-YEAR)
    house.age(queued, "sent_at", "created_at", by=-YEAR)
    assert house.sweep() == [], "it may live: it says so within a timeout"
    for each in (running, queued):
        assert max(house.look(each).heartbeat_at or now(), house.look(each).sent_at or now()) <= now()
    house.age(running, "heartbeat_at")
    house.age(queued, "sent_at")
    assert sorted(house.sweep()) == sorted([running, queued])


def test_an_archive_of_a_clock_that_was_set_back_is_followed_again(house: House) -> None:
    described = {"kind": "orthanc", "address": "http://pacs", "options": {}, "sealed_credentials": b""}
    with house.database.write() as session:
        archive = archives.add(session, name="pacs", **described)
        archives.change(session, archive.id, follower="dead", followed_until=now() + YEAR)
        seen = RemoteInstance(sop_instance_uid="1.2", series_instance_uid="1.3", study_instance_uid="1.4")
        ledger.take_in(session, archive.id, [seen], lambda _: True)
        (row,) = ledger.pending(session, archive.id, 9)
        row.retry_at = now() + YEAR
    house.sweep()
    with house.database.read() as session:
        found = archives.get(session, "pacs")
        assert found.followed_until is not None
        assert found.followed_until < now() + timedelta(seconds=2 * LEASE_SECONDS + 1)
        (retry_at,) = session.scalars(select(ArchiveObject.retry_at))
        assert retry_at is not None
        assert retry_at < now() + timedelta(seconds=ledger.LONGEST_PAUSE_SECONDS + 1)


def test_no_moment_is_set_further_ahead_than_a_right_clock_would() -> None:
    assert NEVER_BEYOND[Archive.followed_until] >= LEASE_SECONDS
    assert NEVER_BEYOND[ArchiveObject.retry_at] >= ledger.LONGEST_PAUSE_SECONDS
