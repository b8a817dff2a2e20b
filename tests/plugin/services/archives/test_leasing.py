"""One process follows an archive at a time: however long its work takes, and whatever the hosts' clocks say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from cbmir.services.archives import leasing
from cbmir.services.archives.leasing import leased
from cbmir.store import archives, jobs, ledger
from cbmir.store.clock import clock
from cbmir.store.session import Database
from cbmir.store.tables import Archive, ArchiveObject, Job, now
from cbmir.types import JobKind, JobState, RemoteInstance

SKEW = timedelta(minutes=10)


@pytest.fixture
def archive_id(any_database: Database) -> int:
    with any_database.write() as session:
        described = {"kind": "orthanc", "address": "http://pacs", "options": {}, "sealed_credentials": b""}
        return archives.add(session, name="pacs", **described).id


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> float:
    """Leases of half a second, renewed ten times in it."""
    monkeypatch.setattr(leasing, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(leasing, "RENEW_SECONDS", 0.05)
    return 0.5


def test_work_that_outlasts_the_lease_keeps_it(any_database: Database, archive_id: int, hurried: float) -> None:
    with leased(any_database, archive_id) as mine:
        until = time.monotonic() + 3 * hurried
        while time.monotonic() < until:  # a long sweep, say
            with leased(any_database, archive_id) as theirs:
                assert mine.held
                assert not theirs.held
    with leased(any_database, archive_id) as theirs:
        assert theirs.held


def test_who_follows_a_follower_that_died_sweeps(any_database: Database, archive_id: int, hurried: float) -> None:
    def sweep_wanted() -> bool:
        with any_database.read() as session:
            return archives.get(session, "pacs").sweep_wanted

    with any_database.write() as session:
        archives.change(session, archive_id, sweep_wanted=False)
        assert archives.lease(session, archive_id, "first", hurried)
        archives.release(session, "first", archive_id)
        assert archives.lease(session, archive_id, "second", hurried)
        assert archives.lease(session, archive_id, "second", hurried)
    assert not sweep_wanted()
    time.sleep(2 * hurried)
    with any_database.write() as session:
        assert archives.lease(session, archive_id, "third", hurried)
    assert sweep_wanted()


def test_a_lease_is_lost_when_the_archive_is_paused(
    any_database: Database, archive_id: int, hurried: float
) -> None:
    with leased(any_database, archive_id) as mine:
        with any_database.write() as session:
            archives.change(session, archive_id, paused=True)
        until = time.monotonic() + 20 * hurried
        while mine.held:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture
def postgres(migrated_postgres_url: str) -> Iterator[Database]:
    """A database that hosts share."""
    database = Database(migrated_postgres_url)
    with database.write() as session:  # of the tests before
        for table in (ArchiveObject, Archive, Job):
            session.execute(delete(table))
    yield database
    database.dispose()


@pytest.fixture(params=[-SKEW, SKEW], ids=["behind", "ahead"])
def on_a_skewed_host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on this is a host whose clock is ten minutes off."""

    def skewed() -> datetime:
        return now() + request.param

    def move() -> None:
        for module in ("archives", "jobs", "ledger", "clock"):
            monkeypatch.setattr(f"cbmir.store.{module}.now", skewed)

    return move


def test_a_host_whose_clock_is_off_takes_no_lease_and_loses_none(
    postgres: Database, on_a_skewed_host: Callable[[], None]
) -> None:
    with postgres.write() as session:
        described = {"kind": "orthanc", "address": "http://pacs", "options": {}, "sealed_credentials": b""}
        row = archives.add(session, name="pacs", **described)
    with leased(postgres, row.id) as mine:
        on_a_skewed_host()
        with postgres.read() as session:
            assert archives.unfollowed(session) == []
        with leased(postgres, row.id) as theirs:
            assert (mine.held, theirs.held) == (True, False)
    with leased(postgres, row.id) as theirs, postgres.read() as session:
        assert theirs.held
        assert archives.unfollowed(session) == []


def test_a_host_whose_clock_is_off_takes_no_living_job_for_dead(
    postgres: Database, on_a_skewed_host: Callable[[], None]
) -> None:
    with postgres.write() as session:
        job = jobs.create(session, JobKind.EXTRACT, {})
        jobs.claim(session, job.id)
    on_a_skewed_host()
    with postgres.write() as session:
        assert jobs.requeue_dead(session, silent_since=clock(session) - timedelta(seconds=30)) == []
        session.execute(update(Job).values(heartbeat_at=clock(session) - timedelta(seconds=31)))
        (dead,) = jobs.requeue_dead(session, silent_since=clock(session) - timedelta(seconds=30))
        assert dead.state == JobState.QUEUED


def test_an_object_is_asked_for_again_at_the_same_moment_on_every_host(
    postgres: Database, on_a_skewed_host: Callable[[], None]
) -> None:
    with postgres.write() as session:
        described = {"kind": "orthanc", "address": "http://pacs", "options": {}, "sealed_credentials": b""}
        row = archives.add(session, name="pacs", **described)
        ledger.take_in(session, row.id, [RemoteInstance("1.2.3.4", "1.2.3", "1.2")], lambda _: True)
        (pending,) = session.scalars(select(ArchiveObject))
        ledger.put_off(session, pending.id, code="not-found", message="It is not there.")
    on_a_skewed_host()
    with postgres.read() as session:
        assert not ledger.is_due(session, row.id)
        (trouble,) = ledger.troubled(session, row.id, 5)
        assert abs(trouble.retry_at - now()) < timedelta(minutes=1)
