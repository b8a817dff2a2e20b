"""A long extraction that workers in folders of their own share over one Redis and one PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from cbmir.progress import Silence
from cbmir.services.features import sharing
from cbmir.services.features.sharing import Share, help_out, lead
from cbmir.settings import Settings
from cbmir.store import jobs, tables
from cbmir.store.session import Database
from cbmir.types import JobKind, JobState
from cbmir_workers import embedded_redis
from cbmir_workers.client import make_app
from cbmir_workers.up import child_environment

House = Any
Ranges = list[tuple[int, int]]
Start = Callable[[int], "subprocess.Popen[bytes]"]
Hosts = tuple[House, Start, Callable[[], bool]]

SMALL = """
from cbmir.cli.main import main
from cbmir.services.features import sharing
sharing.FRAMES_AT_ONCE = {frames}
main()
"""
"""`cbmir`, with pieces so small that a test has many."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Frames of a piece."""
    monkeypatch.setattr(sharing, "FRAMES_AT_ONCE", 8)
    monkeypatch.setattr(sharing, "WAIT_SECONDS", 0.01)
    return 8


def share_of(house: House, run: str, job_id: str | None = None, **more: Any) -> Share:
    """A worker's part, whose job it claims."""
    with house.database.write() as session:
        job = jobs.claim(session, job_id or run)
    assert job is not None
    settings, progress = more.pop("settings", house.settings), more.pop("progress", Silence())
    return Share(house.database, settings, run, "test", job.id, job.started_at, progress, **more)


def new_job(house: House, **parameters: Any) -> str:
    with house.database.write() as session:
        return str(jobs.create(session, JobKind.EXTRACT, {"encoder": "test", **parameters}).id)


@pytest.fixture
def shared(any_database: Database, settings: Settings, app: Any, make_house: Any, wait_for: Any) -> House:
    """An installation of 50 frames and an encoder, on either database."""
    house = make_house(settings, any_database, app, wait_for)
    house.add_encoder()
    house.add_frames(50)
    return house


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> Ranges:
    """The ranges of frames that are extracted, in this order."""
    taken: Ranges = []
    really = sharing.extract_between

    def noted(database: Database, settings: Settings, encoder: str, after: int, up_to: int, *rest: Any) -> Any:
        taken.append((after, up_to))
        return really(database, settings, encoder, after, up_to, *rest)

    monkeypatch.setattr(sharing, "extract_between", noted)
    return taken


def follow_one_another(ranges: Ranges) -> bool:
    """Whether none is in two ranges, and none between two is left out."""
    ordered = sorted(ranges)
    return all(before[1] == after[0] for before, after in pairwise(ordered))


def test_those_who_share_do_each_frame_once_and_the_run_counts_all(
    shared: House, small: int, ranges: Ranges
) -> None:
    run = new_job(shared)
    helper = new_job(shared, helps=run)
    leader = share_of(shared, run)
    assistant = share_of(shared, run, helper)
    first = leader.claim()
    assert first is not None
    assert help_out(assistant) == {"encoder": "test", "run": run, "extracted": 50 - small, "failed": 0}
    leader._extract(first)
    result = lead(leader, afresh=False)
    assert (result["extracted"], result["already"], result["failed"]) == (50, 0, 0)
    assert follow_one_another(ranges)
    assert shared.count(tables.Feature) == 50
    assert shared.count(tables.ExtractionPiece) == 0


@pytest.mark.usefixtures("small")
def test_what_is_deleted_meanwhile_counts_as_nothing_that_was_there(shared: House) -> None:
    leader = share_of(shared, new_job(shared))
    while piece := leader.claim():
        leader._extract(piece)
    with shared.database.write() as session:
        session.execute(delete(tables.Feature))
    result = lead(leader, afresh=False)
    assert (result["extracted"], result["already"]) == (50, 0)


def test_the_piece_of_a_helper_that_died_is_taken_over(shared: House, small: int, ranges: Ranges) -> None:
    run = new_job(shared)
    helper = new_job(shared, helps=run)
    leader, lost = share_of(shared, run), share_of(shared, run, helper)
    assert lost.claim() is not None
    leader.work()
    assert shared.count(tables.Feature) == 50 - small  # the helper may still be at it
    with shared.database.write() as session:
        session.get(tables.Job, helper).state = JobState.QUEUED  # the sweeper found its silent heartbeat
    result = lead(leader, afresh=False)
    assert result["extracted"] == shared.count(tables.Feature) == 50
    assert follow_one_another(ranges)


class Told:
    """A `Progress` that remembers what it is told, and keeps the run's row as a worker's does."""

    def __init__(self, house: House, run: str) -> None:
        self.house, self.run, self.pairs = house, run, list[tuple[int, int]]()

    def update(self, done: int, total: int, message: str = "", detail: object = None) -> None:
        self.pairs.append((done, total))
        with self.house.database.write() as session:
            session.get(tables.Job, self.run).total = total


def test_progress_is_that_of_the_whole_run_whoever_works(shared: House, small: int) -> None:
    run = new_job(shared)
    helper = new_job(shared, helps=run)
    told = Told(shared, run)
    leader, assistant = share_of(shared, run, progress=told), share_of(shared, run, helper, progress=told)

    def call() -> None:
        """One helper works while the leader still has its first piece to do, and leaves the last ones."""
        assistant.claim = iter([assistant.claim(), None]).__next__  # type: ignore[method-assign]
        help_out(assistant)

    leader.call = call
    lead(leader, afresh=True)
    done, totals = zip(*told.pairs, strict=True)
    assert set(totals) == {50}
    assert list(done) == sorted(done)
    assert (done[0], done[-1]) == (0, 50)
    assert small in done[:-1]


def test_a_run_that_has_ended_or_should_end_gives_nothing_out(shared: House) -> None:
    run = new_job(shared)
    leader = share_of(shared, run)
    with shared.database.write() as session:
        jobs.request_cancel(session, run)
    assert leader.claim() is None
    helper = new_job(shared, helps=run)
    assert help_out(share_of(shared, run, helper))["extracted"] == 0


def test_a_host_without_the_pictures_takes_no_part(shared: House, tmp_path: Path) -> None:
    run = new_job(shared)
    share_of(shared, run)
    helper = new_job(shared, helps=run)
    elsewhere = replace(shared.settings, data=tmp_path / "elsewhere")
    with pytest.raises(Exception, match=r"share the folders `pictures` and `weights`|None of the pictures"):
        help_out(share_of(shared, run, helper, settings=elsewhere))
    assert shared.count(tables.ExtractionPiece) == 0


@pytest.fixture
def hosts(
    settings: Settings,
    migrated_postgres_url: str,
    any_database: Database,
    tmp_path: Path,
    make_house: Any,
    wait_for: Any,
) -> Iterator[Hosts]:
    """An installation on PostgreSQL and a Redis, and what starts its worker number n in a folder of its own, with
    pictures and weights shared as over a network's file system."""
    with embedded_redis.running(settings) as broker:
        there = replace(settings, database_url=migrated_postgres_url, broker_url=broker)
        app = make_app(there)
        started: list[subprocess.Popen[bytes]] = []

        def start(number: int) -> subprocess.Popen[bytes]:
            own = replace(there, data=tmp_path / f"host-{number}", secret_key="shared")
            own.data.mkdir()
            for folder in (settings.pictures, settings.weights):
                (own.data / folder.name).symlink_to(folder, target_is_directory=True)
            command = [sys.executable, "-c", SMALL.format(frames=16), "worker", "--role", "index"]
            with (own.data / "log").open("wb") as log:
                started.append(subprocess.Popen(command, env=child_environment(own), cwd=own.data, stderr=log))
            return started[-1]

        def are_ready() -> bool:
            return all(b" ready" in log.read_bytes() for log in tmp_path.glob("host-*/log"))

        yield make_house(there, any_database, app, wait_for), start, are_ready
        for process in started:
            process.kill()
            process.wait()
        app.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_two_hosts_share_an_extraction_and_one_is_killed(hosts: Hosts) -> None:
    house, start, are_ready = hosts
    house.add_encoder()
    house.add_frames(1000)
    one, _ = start(1), start(2)
    house.wait_for(are_ready, seconds=600)  # one alone would be done before the other is there
    run = house.enqueue(JobKind.EXTRACT, {"encoder": "test"})

    def at_work() -> int:
        with house.database.read() as session:
            pieces = session.scalars(select(tables.ExtractionPiece)).all()
            return len({piece.worker for piece in pieces if piece.extracted})

    house.wait_for(lambda: at_work() == 2, seconds=120)
    one.send_signal(signal.SIGKILL)
    one.wait()
    house.wait_for(lambda: house.job(run).is_final, seconds=240)
    job = house.job(run)
    assert job.state == JobState.SUCCEEDED, job.error_message
    assert house.count(tables.Feature) == 1000
    # of the piece that was lost with its host, what its last batches had stored is known already, and not new
    assert 1000 - 16 <= job.result["extracted"] <= 1000
    assert job.result["failed"] == 0
    house.wait_for(lambda: house.count(tables.ExtractionPiece) == 0)
