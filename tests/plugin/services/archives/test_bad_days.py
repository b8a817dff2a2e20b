"""An archive that is down, cut off, emptied, or says half: work stops cleanly, and it catches up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import cbmir_migrations
from cbmir.archive.base import Archive, Fetched, RemoteInstance
from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.errors import (
    ArchiveRefused,
    ArchiveUnavailable,
    BadRequest,
    CbmirError,
    DiskFull,
    JobCancelled,
    MassDeletion,
)
from cbmir.progress import Silence
from cbmir.services.archives import sweep as sweeping
from cbmir.services.archives.catch_up import catch_up
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.leasing import leased
from cbmir.services.archives.registered import Followed, add, connection_of, followed
from cbmir.services.archives.status import of
from cbmir.services.archives.sync import synchronise
from cbmir.services.archives.verify import verify
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import AT_ONCE as RECORDED_AT_ONCE
from cbmir.settings import Settings
from cbmir.store import archives, ledger
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.types import ObjectState
from cbmir_workers.up import child_environment


@pytest.fixture
def connection(pacs: Any) -> Connection:
    return Connection(
        "pacs", ArchiveKind.ORTHANC, pacs.url, Credentials(username=pacs.username, password=pacs.password)
    )


def held(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Instance)) or 0


@dataclass
class Counting:
    """An archive that passes everything on to another, and notes what is fetched; it may be lost after some."""

    archive: Archive
    lost_after: int = 10**9
    error: CbmirError = field(default_factory=lambda: ArchiveUnavailable("The archive does not answer."))
    fetched: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        for each in self.archive.fetch(instances, folder):
            if len(self.fetched) >= self.lost_after:
                raise self.error
            self.fetched.append(each.instance.sop_instance_uid)
            yield each


def test_an_archive_that_is_lost_in_mid_fetch_is_caught_up_with_and_nothing_is_fetched_twice(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation
) -> None:
    for seed in range(12):
        pacs.send(make_object(seed))
    Follower(archive).look()
    lost = Counting(archive.archive, lost_after=5)
    with pytest.raises(ArchiveUnavailable):
        synchronise(replace(archive, archive=lost), Silence(), isolation)
    done = held(database)
    assert done <= 5
    again = Counting(archive.archive)
    synced = synchronise(replace(archive, archive=again), Silence(), isolation)
    assert synced.ingested == len(again.fetched) == 12 - done
    assert verify(archive, Silence()).differences == []


def test_a_process_killed_in_mid_fetch_loses_nothing_and_fetches_nothing_that_is_done_again(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation
) -> None:
    count = 3 * RECORDED_AT_ONCE
    for seed in range(count):
        pacs.send(make_object(seed))
    command = [sys.executable, "-m", "cbmir", "archive", "sync", "pacs"]
    with subprocess.Popen(command, env=child_environment(archive.settings)) as process:
        deadline = time.monotonic() + 60
        while not held(database):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = held(database)
    assert 0 < done < count
    Follower(archive).look()  # not all was listed
    counting = Counting(archive.archive)
    synchronise(replace(archive, archive=counting), Silence(), isolation)
    assert len(counting.fetched) == count - done
    assert held(database) == count
    assert verify(archive, Silence()).differences == []


def test_what_was_left_in_the_spool_is_swept(archive: Followed, pacs: Any, make_object: Any) -> None:
    left = archive.settings.spool / "fetched-left"
    left.mkdir(parents=True)
    (left / "1.2.3.dcm").write_bytes(b"a patient's")
    os.utime(left, (1, 1))
    pacs.send(make_object(0))
    catch_up(archive, Silence())
    assert list(archive.settings.spool.iterdir()) == []


def test_an_archive_that_is_down_is_said_to_be_and_is_followed_when_it_is_back(
    database: Database, settings: Settings, start_orthanc: Any, make_object: Any
) -> None:
    server = start_orthanc()
    connection = Connection("down", ArchiveKind.ORTHANC, server.url, Credentials(server.username, server.password))
    add(database, settings, replace(connection, timeout_seconds=2))
    server.send(make_object(1))
    with followed(database, settings, "down") as archive:
        catch_up(archive, Silence())
        server.process.terminate()
        server.process.wait(30)
        with pytest.raises(ArchiveUnavailable):
            catch_up(archive, Silence())
        with database.read() as session:
            status = of(session, "down")
        assert (status.connected, status.error_code, status.held) == (False, "archive-unavailable", 1)
        server = start_orthanc(folder=server.folder)
        server.send(make_object(2))
        assert catch_up(archive, Silence()).fetched.ingested == 1
        with database.read() as session:
            assert of(session, "down").error_code is None


def test_wrong_credentials_are_said_and_delete_nothing(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    pacs.send(make_object(0))
    follow()
    wrong = replace(archive.connection, name="wrong", credentials=Credentials(username="alice", password="guess"))
    add(database, archive.settings, wrong)
    with followed(database, archive.settings, "wrong") as refused, pytest.raises(ArchiveRefused) as caught:
        catch_up(refused, Silence())
    assert "guess" not in caught.value.sentence
    assert held(database) == 1


def test_an_archive_that_lists_nothing_any_more_is_not_believed_until_somebody_says_so(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "MASS", 3)
    for seed in range(3):
        pacs.send(make_object(seed))
    follow()
    for study in pacs.get("/studies"):
        pacs.delete(f"/studies/{study}")
    with pytest.raises(MassDeletion, match="lists nothing any more"):
        follow()
    assert held(database) == 3
    with database.write() as session:
        archives.change(session, archive.id, allowed_deletions=3)
    follow()
    assert held(database) == 0


class Partial(Counting):
    """An archive that lists a study only in part."""

    def instances(self, study_instance_uid: str) -> Iterator[RemoteInstance]:
        yield from list(self.archive.instances(study_instance_uid))[:1]


def test_a_list_that_is_shorter_than_the_archive_says_deletes_nothing(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    for seed in range(3):
        pacs.send(make_object(seed))
    follow()
    pacs.send(make_object(3))
    partial = replace(archive, archive=Partial(archive.archive))
    sweeping.sweep(partial)
    assert held(database) == 3
    follow()
    assert held(database) == 4


def test_a_list_that_is_shorter_than_the_archive_says_for_the_second_time_is_believed(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    for seed in range(3):
        pacs.send(make_object(seed))
    follow()
    pacs.send(make_object(3))
    partial = replace(archive, archive=Partial(archive.archive))
    sweeping.sweep(partial)
    sweeping.sweep(partial)
    assert held(database) == 1


def test_an_object_that_cannot_be_had_is_put_off_and_the_others_go_on(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation, uid_of: Any
) -> None:
    first = pacs.send(make_object(0))
    pacs.send(make_object(1))
    Follower(archive).look()
    pacs.delete(f"/instances/{first}")
    synced = synchronise(archive, Silence(), isolation)
    assert (synced.ingested, synced.failed) == (1, 1)
    with database.read() as session:
        (trouble,) = ledger.troubled(session, archive.id, 5)
        assert (trouble.sop_instance_uid, trouble.error_code) == (uid_of(0), "not-found")
        assert ledger.pending(session, archive.id, 5) == []  # not at once
        assert archives.get(session, "pacs").sweep_wanted
        found = of(session, "pacs")
    assert (found.behind, found.troubled) == (1, 1)
    (named,) = found.as_json()["troubles"]
    assert (named["sop_instance_uid"], named["attempts"]) == (uid_of(0), 1)
    assert "HTTP 404" in named["error_message"]
    with database.write() as session:
        ledger.ask_now(session, archive.id)  # as whoever asks for a sync by hand
        assert ledger.is_due(session, archive.id)
        assert of(session, "pacs").troubles == ()
    Follower(archive).look()
    with database.read() as session:
        assert ledger.counts(session, archive.id)[ObjectState.DELETED] == 1


class Deleting(Counting):
    """An archive whose objects are known to be deleted while they are on their way."""

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        for each in self.archive.fetch(instances, folder):
            self.on_the_way()
            yield each


def test_an_object_deleted_while_it_is_fetched_does_not_come_back(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation
) -> None:
    pacs.send(make_object(0))
    Follower(archive).look()

    def delete() -> None:
        with database.write() as session:
            ledger.mark_deleted(session, [each.id for each in ledger.all_alive(session, archive.id)])

    deleting = Deleting(archive.archive)
    deleting.on_the_way = delete  # type: ignore[attr-defined]
    synchronise(replace(archive, archive=deleting), Silence(), isolation)
    assert held(database) == 0
    assert list(archive.settings.pictures.rglob("*.tif")) == []


def test_a_full_disk_stops_the_work_and_loses_nothing(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation
) -> None:
    for seed in range(4):
        pacs.send(make_object(seed))
    Follower(archive).look()
    full = Counting(archive.archive, lost_after=2, error=DiskFull("The disk is full.", "Free space."))
    with pytest.raises(DiskFull):
        synchronise(replace(archive, archive=full), Silence(), isolation)
    synchronise(archive, Silence(), isolation)
    assert held(database) == 4


class Cancelled(Silence):
    def update(self, done: int, total: int, message: str = "", detail: Any = None) -> None:
        if done >= 2:
            raise JobCancelled("The job was cancelled.")


def test_a_cancelled_work_goes_on_later(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation
) -> None:
    for seed in range(RECORDED_AT_ONCE + 4):
        pacs.send(make_object(seed))
    Follower(archive).look()
    with pytest.raises(JobCancelled):
        synchronise(archive, Cancelled(), isolation)
    assert 2 <= held(database) <= RECORDED_AT_ONCE
    synchronise(archive, Silence(), isolation)
    assert held(database) == RECORDED_AT_ONCE + 4


def test_only_one_process_follows_an_archive(database: Database, archive: Followed) -> None:
    with leased(database, archive.id) as mine:
        assert mine.held
        with leased(database, archive.id) as theirs:
            assert not theirs.held
        assert catch_up(archive, Silence()) is None
        assert mine.held
    with leased(database, archive.id) as mine:
        assert mine.held


def test_credentials_are_sealed_and_need_the_secret_key(
    database: Database, settings: Settings, archive: Followed, connection: Connection
) -> None:
    with database.read() as session:
        row = archives.get(session, "pacs")
    assert connection.credentials.password.encode() not in row.sealed_credentials
    assert connection.credentials.password not in repr(archive)
    assert connection_of(row, settings) == archive.connection
    with pytest.raises(BadRequest, match="another secret key"):
        connection_of(row, replace(settings, secret_key="another"))


def test_another_name_is_asked_for(database: Database, settings: Settings, archive: Followed) -> None:
    for name, said in (("pacs", "already"), ("a b", "no name"), ("", "no name"), ("../x", "no name")):
        with pytest.raises(BadRequest, match=said):
            add(database, settings, replace(archive.connection, name=name))


def test_an_object_replaced_while_it_is_fetched_is_fetched_again(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation, uid_of: Any
) -> None:
    pacs.send(make_object(0))
    Follower(archive).look()
    later = [make_object(5, SOPInstanceUID=uid_of(0))]

    def replaced() -> None:
        if later:
            pacs.send(later.pop())
            Follower(archive).look()

    replacing = Deleting(archive.archive)
    replacing.on_the_way = replaced  # type: ignore[attr-defined]
    synchronise(replace(archive, archive=replacing), Silence(), isolation)
    assert verify(archive, Silence()).differences == []
    with database.read() as session:
        (instance,) = session.scalars(select(Instance))
    assert instance.sha256 == sha256(make_object(5, SOPInstanceUID=uid_of(0))).hexdigest()


def test_two_followers_at_once_do_no_harm(
    database: Database, archive: Followed, pacs: Any, make_object: Any, isolation: Isolation
) -> None:
    ids = [pacs.send(make_object(seed, patient=seed % 3)) for seed in range(9)]
    for _ in range(2):
        with ThreadPoolExecutor(2) as threads, followed(database, archive.settings, "pacs") as second:
            done = [threads.submit(sweeping.sweep, each) for each in (archive, second)]
            assert all(each.result() for each in done)
        synchronise(archive, Silence(), isolation)
        for each in ids[:3]:
            pacs.delete(f"/instances/{each}")
        del ids[:3]
        archive.database.dispose()
    sweeping.sweep(archive)
    assert held(database) == 3
    assert verify(archive, Silence()).differences == []


def test_two_installations_follow_one_archive(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any, tmp_path: Path
) -> None:
    other = Settings(data=tmp_path / "other")
    cbmir_migrations.upgrade(other.resolved_database_url)
    theirs = Database(other.resolved_database_url)
    add(theirs, other, archive.connection)
    gone = pacs.send(make_object(0))
    pacs.send(make_object(1))
    with followed(theirs, other, "pacs") as second:
        follow()
        catch_up(second, Silence())
        pacs.delete(f"/instances/{gone}")
        follow()
        catch_up(second, Silence())
    assert held(database) == held(theirs) == 1
    theirs.dispose()
