"""A sync by hand: what is found is fetched while the archive is still listed, whichever of both fails."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import func, select

from cbmir.archive.base import Archive, Fetched, RemoteInstance, RemoteStudy
from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.archive.http.objects import TOGETHER
from cbmir.errors import (
    ArchiveGarbled,
    ArchiveUnavailable,
    CbmirError,
    DiskFull,
    JobCancelled,
    MassDeletion,
    NotFound,
)
from cbmir.progress import Silence
from cbmir.services.archives.catch_up import catch_up
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.noting import note
from cbmir.services.archives.registered import Followed, add, remove
from cbmir.services.archives.status import ArchiveStatus, of
from cbmir.services.archives.sync import synchronise
from cbmir.services.archives.verify import verify
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.encoders.shipped import provide
from cbmir.services.ingestion.run import AT_ONCE as RECORDED_AT_ONCE
from cbmir.settings import Settings
from cbmir.store import archives, encoders, features, ledger
from cbmir.store.session import Database
from cbmir.store.tables import Instance, now
from cbmir_workers.up import child_environment

STUDIES = 5
SECONDS = 60.0


@pytest.fixture
def full(pacs: Any, make_object: Any) -> Any:
    """An Orthanc with an object in each of some studies."""
    for seed in range(STUDIES):
        pacs.send(make_object(seed, study=seed))
    return pacs


@dataclass
class Removing:
    """Progress of a sync whose archive is removed once it has recorded an object."""

    archive: Followed

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        with self.archive.database.read() as session:
            known = archives.find(session, self.archive.name)
        if done and known:
            remove(self.archive.database, self.archive.settings, self.archive.name, delete_images=True)


@pytest.mark.usefixtures("full")
def test_an_archive_that_is_removed_meanwhile_is_told_of_and_nothing_of_it_stays(
    database: Database, archive: Followed
) -> None:
    with pytest.raises(NotFound, match="pacs was removed while it was fetched from"):
        catch_up(archive, Removing(archive))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Instance)) == 0
    assert not [file for file in archive.settings.pictures.rglob("*") if file.is_file()]


@dataclass
class Slow:
    """An archive that passes everything on to another, but lists no second study before `listed` is set.

    It raises `broken` once it has listed a study, and `full` once it has brought an object.
    """

    archive: Archive
    broken: CbmirError | None = None
    full: CbmirError | None = None
    listed: Event = field(default_factory=Event)
    studies_listed: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)

    def studies(self, since: str = "", until: str = "") -> Iterator[RemoteStudy]:
        for study in self.archive.studies(since, until):
            self.studies_listed += 1
            yield study
            assert self.listed.wait(SECONDS)
            if self.broken:
                raise self.broken

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        for each in self.archive.fetch(instances, folder):
            if self.full:
                raise self.full
            yield each


@dataclass
class Watching(Silence):
    """Progress that lets the listing go on, or raises an error, once something is recorded; it remembers all."""

    slow: Slow
    error: BaseException | None = None
    told: list[tuple[int, int]] = field(default_factory=list)

    def update(self, done: int, total: int, message: str = "", detail: Any = None) -> None:
        self.told.append((done, total))
        if done and self.error:
            raise self.error
        if done:
            self.slow.listed.set()


def status(database: Database) -> ArchiveStatus:
    with database.read() as session:
        return of(session, "pacs")


def held(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Instance)) or 0


@pytest.mark.usefixtures("full")
def test_what_is_found_is_fetched_while_the_archive_is_listed(database: Database, archive: Followed) -> None:
    slow = Slow(archive.archive)
    progress = Watching(slow)
    synced = catch_up(replace(archive, archive=slow), progress)
    assert synced is not None
    assert (synced.fetched.ingested, slow.studies_listed) == (STUDIES, STUDIES)
    assert all(done <= total for done, total in progress.told)
    assert progress.told[-1] == (STUDIES, STUDIES)
    assert verify(archive, Silence()).differences == []
    with database.read() as session:
        assert not archives.get(session, "pacs").sweep_wanted


def test_a_list_that_breaks_off_deletes_nothing_and_what_it_named_is_fetched(
    database: Database, archive: Followed, full: Any, make_object: Any
) -> None:
    catch_up(archive, Silence())
    full.delete(f"/studies/{full.get('/studies')[0]}")
    for seed in range(STUDIES, 2 * STUDIES):
        full.send(make_object(seed, study=seed))
    slow = Slow(archive.archive, broken=ArchiveGarbled("The list makes no sense."))
    slow.listed.set()
    with pytest.raises(ArchiveGarbled, match="no sense"):
        catch_up(replace(archive, archive=slow), Silence())
    assert held(database) >= STUDIES
    with database.read() as session:
        assert ledger.behind(session, archive.id) == 0
        assert of(session, "pacs").error_code == "archive-garbled"
        assert archives.get(session, "pacs").sweep_wanted
    assert catch_up(archive, Silence()) is not None
    assert held(database) == 2 * STUDIES - 1
    assert verify(archive, Silence()).differences == []


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("error", [ArchiveUnavailable("It is down."), MassDeletion("It lists nothing.")])
def test_an_archive_that_answers_again_is_said_to_before_all_is_listed(
    database: Database, archive: Followed, error: CbmirError
) -> None:
    note(database, "pacs", error)
    before = status(database)
    slow = Slow(archive.archive)
    with ThreadPoolExecutor() as pool:
        looking = pool.submit(Follower(replace(archive, archive=slow)).look)
        while status(database).checked_at == before.checked_at:
            time.sleep(0.05)
        meanwhile = status(database)
        slow.listed.set()
        looking.result()
    assert meanwhile.connected
    assert meanwhile.error_code == (None if isinstance(error, ArchiveUnavailable) else "mass-deletion")
    assert (status(database).connected, status(database).error_code) == (True, None)


@pytest.mark.usefixtures("full")
def test_a_fetch_that_fails_ends_the_listing_and_loses_nothing(database: Database, archive: Followed) -> None:
    slow = Slow(archive.archive, full=DiskFull("The disk is full.", "Free space."))
    with pytest.raises(DiskFull):
        catch_up(replace(archive, archive=slow), Silence())
    slow.listed.set()
    assert (slow.studies_listed, held(database)) == (1, 0)
    with database.read() as session:
        assert of(session, "pacs").error_code == "disk-full"
    synced = catch_up(archive, Silence())
    assert synced is not None
    assert synced.fetched.ingested == STUDIES


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("error", [JobCancelled("Stop."), KeyboardInterrupt()])
def test_who_stops_it_stops_the_listing(database: Database, archive: Followed, error: BaseException) -> None:
    slow = Slow(archive.archive)
    with pytest.raises(type(error)):
        catch_up(replace(archive, archive=slow), Watching(slow, error))
    slow.listed.set()
    assert held(database) == 1
    synced = catch_up(archive, Silence())
    assert synced is not None
    assert synced.fetched.ingested == STUDIES - 1
    assert verify(archive, Silence()).differences == []


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_does_not_wait_for_an_archive_that_is_silent(
    database: Database, settings: Settings, told: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        add(database, settings, Connection("pacs", ArchiveKind.DICOMWEB, address, timeout_seconds=10 * SECONDS))
        command = [sys.executable, "-m", "cbmir", "archive", "sync", "pacs"]
        with subprocess.Popen(
            command, env=child_environment(settings), stderr=subprocess.PIPE, text=True
        ) as process:
            silent.settimeout(SECONDS)
            asking, _ = silent.accept()
            process.send_signal(told)
            _, said = process.communicate(timeout=SECONDS)
            asking.close()
    assert (process.returncode, said.strip()) == (130, "cbmir: interrupted.")
    with database.read() as session:
        assert archives.get(session, "pacs").follower == ""


@dataclass
class Noting:
    """An archive that passes everything on to another, and notes what comes of it."""

    archive: Archive
    came: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        for each in self.archive.fetch(instances, folder):
            self.came.append(each.instance.sop_instance_uid)
            yield each


def test_a_sync_that_is_killed_in_a_long_series_loses_nothing_and_what_is_recorded_is_not_fetched_again(
    database: Database, archive: Followed, pacs: Any, make_object: Any
) -> None:
    count = 4 * RECORDED_AT_ONCE
    for seed in range(count):
        pacs.send(make_object(seed))
    command = [sys.executable, "-m", "cbmir", "archive", "sync", "pacs"]
    with subprocess.Popen(command, env=child_environment(archive.settings)) as process:
        deadline = time.monotonic() + SECONDS
        while not held(database):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    done = held(database)
    assert 0 < done < count
    with database.write() as session:
        archives.change(session, archive.id, followed_until=now())  # half a minute later
    noting = Noting(archive.archive)
    synced = catch_up(replace(archive, archive=noting), Silence())
    assert synced is not None
    assert synced.fetched.ingested == len(noting.came) == count - done
    assert verify(archive, Silence()).differences == []


def test_objects_that_are_deleted_between_listing_and_fetching_are_not_missed(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    ids = [pacs.send(make_object(seed)) for seed in range(2 * TOGETHER)]
    Follower(archive).look()
    for each in ids[3:5]:
        pacs.delete(f"/instances/{each}")
    with Isolation(1) as isolation:
        synced = synchronise(archive, Silence(), isolation)
    assert (synced.ingested, synced.failed) == (len(ids) - 2, 2)
    follow()
    assert held(database) == len(ids) - 2
    assert verify(archive, Silence()).differences == []


@pytest.mark.usefixtures("full")
def test_a_new_installation_extracts_features_of_the_encoder_that_comes_with_it(
    database: Database, archive: Followed
) -> None:
    provide(database)
    with database.read() as session:
        assert not encoders.resolve(session, None).kept, "whoever trains one first never pays for it"
    assert catch_up(archive, Silence()).fetched.ingested == STUDIES
    with database.read() as session:
        used = encoders.resolve(session, None)
        assert used.kept
        assert features.count(session, used.id) == STUDIES
