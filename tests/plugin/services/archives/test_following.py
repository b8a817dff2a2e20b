"""What an archive holds, we hold: new, replaced, moved and deleted objects, by Orthanc's API and by DICOMweb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import func, select

from cbmir.archive.connection import ArchiveKind
from cbmir.archive.http.objects import TOGETHER
from cbmir.progress import Silence
from cbmir.services.archives import follow as following
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.verify import Difference, Kind, verify
from cbmir.services.ingestion import record, run
from cbmir.store import instances, ledger
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance
from cbmir.types import ObjectState


def stored(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Instance.sop_instance_uid)))


def pictures(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tif"))


def test_everything_that_is_there_is_fetched_once(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    for seed in range(5):
        pacs.send(make_object(seed, patient=seed // 2))
    assert follow().ingested == 5
    assert stored(database) == {uid_of(seed) for seed in range(5)}
    assert follow() == type(follow())()
    assert verify(archive, Silence()).differences == []


def test_what_is_here_already_is_not_converted_again(
    archive: Followed, pacs: Any, make_object: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs.send(make_object(0))
    follow()
    with archive.database.write() as session:
        ledger.fetch_again(session, archive.id)
    monkeypatch.setattr(record, "keep", None)
    assert follow().duplicates == 1


def test_what_comes_later_is_found(
    database: Database, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    pacs.send(make_object(1))
    follow()
    pacs.send(make_object(2))
    pacs.send(make_object(3, patient=7))
    assert follow().ingested == 2
    assert stored(database) == {uid_of(1), uid_of(2), uid_of(3)}


def test_a_deleted_object_and_a_deleted_study_are_gone_with_their_pictures(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    ids = [pacs.send(make_object(seed, patient=seed // 3)) for seed in range(6)]
    follow()
    assert len(pictures(archive.settings.pictures)) == 6
    pacs.delete(f"/instances/{ids[0]}")
    follow()
    assert stored(database) == {uid_of(seed) for seed in range(1, 6)}
    study = pacs.get(f"/instances/{ids[4]}/study")["ID"]
    pacs.delete(f"/studies/{study}")
    follow()
    assert stored(database) == {uid_of(1), uid_of(2)}
    assert len(pictures(archive.settings.pictures)) == 2
    with database.read() as session:
        assert ledger.counts(session, archive.id)[ObjectState.DELETED] == 4
        assert session.scalar(select(func.count()).select_from(Group)) == 1
        assert session.scalar(select(func.count()).select_from(Frame)) == 2
    assert verify(archive, Silence()).differences == []


def test_one_that_comes_back_is_fetched_again(
    database: Database, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    kept, gone = pacs.send(make_object(0)), pacs.send(make_object(1))
    follow()
    pacs.delete(f"/instances/{gone}")
    follow()
    assert stored(database) == {uid_of(0)}
    pacs.send(make_object(1))
    assert follow().ingested == 1
    assert stored(database) == {uid_of(0), uid_of(1)}
    assert kept


def test_differences_are_named(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    ids = [pacs.send(make_object(seed)) for seed in range(3)]
    follow()
    pacs.send(make_object(9))
    pacs.delete(f"/instances/{ids[0]}")
    with database.write() as session:
        (lost,) = instances.of_uids(session, [uid_of(1)])
        instances.delete(session, lost)
    verified = verify(archive, Silence())
    assert (verified.listed, verified.held) == (3, 1)
    found = {(each.kind, each.sop_instance_uid) for each in verified.differences}
    assert found == {(Kind.UNKNOWN, uid_of(9)), (Kind.GONE, uid_of(0)), (Kind.LOST, uid_of(1))}


def test_two_patients_objects_of_one_uid_are_a_difference(
    archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    study = generate_uid()
    of_one_uid = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study[:60]}.1"}
    pacs.send(make_object(0, patient=1, **of_one_uid))
    pacs.send(make_object(0, patient=2, **of_one_uid))
    follow()
    # asked for it by DICOMweb, Orthanc gives neither
    seen = Kind.SEVERAL if archive.connection.kind is ArchiveKind.ORTHANC else Kind.PENDING
    assert verify(archive, Silence()).differences == [Difference(seen, study, uid_of(0))]


def test_an_object_that_is_in_two_studies_is_a_difference(
    archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    for study in range(2):
        pacs.send(make_object(0, study=study))
    follow()
    found = {(each.kind, each.sop_instance_uid) for each in verify(archive, Silence()).differences}
    assert (Kind.SEVERAL, uid_of(0)) in found


def test_a_difference_that_no_sweep_mends_is_swept_once(
    archive: Followed, pacs: Any, make_object: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if archive.connection.kind is not ArchiveKind.ORTHANC:
        pytest.skip("an archive without a log is swept at every look")
    sweeps = []
    really = following.sweep
    monkeypatch.setattr(following, "sweep", lambda *given: sweeps.append(really(*given)) or sweeps[-1])
    for study in range(2):
        pacs.send(make_object(0, study=study))
    gone = pacs.send(make_object(1, study=2))
    for _ in range(5):
        follow()
    settled = len(sweeps)
    for _ in range(3):
        follow()
    assert len(sweeps) == settled
    pacs.delete(f"/instances/{gone}")
    follow()
    assert sweeps[settled].deleted == 1
    assert verify(archive, Silence()).held == 1


def test_what_is_listed_already_may_be_fetched_while_other_studies_are_looked_into(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    for seed in range(6):
        pacs.send(make_object(seed, study=seed // 2))
    pending: list[int] = []

    def found() -> None:
        with database.read() as session:
            pending.append(ledger.behind(session, archive.id))

    assert Follower(archive).look(found)
    assert pending == [2, 4, 6]
    assert follow().ingested == 6
    assert not Follower(archive).look(found)
    assert len(pending) == 3


def test_a_long_series_is_followed_like_any_other(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    for seed in range(2 * TOGETHER):
        pacs.send(make_object(seed))
    assert follow().ingested == 2 * TOGETHER
    for seed in range(2 * TOGETHER, 3 * TOGETHER + 1):  # more of a series of which much is here
        pacs.send(make_object(seed))
    assert follow().ingested == TOGETHER + 1
    assert stored(database) == {uid_of(seed) for seed in range(3 * TOGETHER + 1)}
    assert verify(archive, Silence()).differences == []
    assert list(archive.settings.spool.iterdir()) == []


def test_a_series_larger_than_the_room_for_what_is_read_ahead_comes_by_and_by(
    archive: Followed, pacs: Any, make_object: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "AHEAD_BYTES", 1)
    for seed in range(2 * TOGETHER):
        pacs.send(make_object(seed))
    assert follow().ingested == 2 * TOGETHER
    assert verify(archive, Silence()).differences == []
