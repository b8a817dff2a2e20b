"""Orthanc by its own REST API: lists, objects, its log, and what becomes of them when objects change and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from cbmir.archive.base import Archive, Logged, RemoteInstance
from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.archive.orthanc import OrthancArchive
from cbmir.archive.registry import connect
from cbmir.dicom.header import describe
from cbmir.errors import ArchiveGarbled, ArchiveRefused, BadRequest, NotFound

if TYPE_CHECKING:
    from conftest import Orthanc

Connect = Callable[..., Connection]


@pytest.fixture
def reached(orthanc: Orthanc, connection: Connect) -> Connection:
    return connection(
        orthanc.url, ArchiveKind.ORTHANC, credentials=Credentials(*orthanc.auth), timeout_seconds=30.0
    )


@pytest.fixture
def archive(reached: Connection) -> Iterator[OrthancArchive]:
    archive = connect(reached)
    assert isinstance(archive, OrthancArchive)
    yield archive
    archive.close()


def bytes_of(archive: Archive, instances: list[RemoteInstance], folder: Path) -> set[bytes]:
    folder.mkdir()
    found = list(archive.fetch(instances, folder))
    assert [each.error for each in found if each.error] == []
    return {each.file.read_bytes() for each in found if each.file}


def test_it_is_an_archive_that_keeps_a_log(archive: OrthancArchive) -> None:
    assert isinstance(archive, Archive)
    assert isinstance(archive, Logged)


def test_objects_go_there_and_back_unchanged(archive: OrthancArchive, varied: list[Path], tmp_path: Path) -> None:
    archive.store(varied)
    archive.store(varied[:1])  # a second time does no harm
    assert archive.count() == len(varied)
    (study,) = archive.studies()
    header = describe(dcmread(varied[0]), "first")
    assert (study.study_instance_uid, study.instances) == (header.study_instance_uid, len(varied))
    instances = list(archive.instances(study.study_instance_uid))
    first = next(each for each in instances if each.sop_instance_uid == header.sop_instance_uid)
    assert first.series_instance_uid == header.series_instance_uid
    assert (first.sop_class_uid, first.modality, first.body_part) == (header.sop_class_uid, "MR", "HEAD")
    assert all(each.remote_id and each.digest for each in instances)
    assert bytes_of(archive, instances, tmp_path / "spool") == {path.read_bytes() for path in varied}
    by_uid = [replace(each, remote_id="") for each in instances[:2]]
    assert len(bytes_of(archive, by_uid, tmp_path / "again")) == 2


def test_many_studies_and_many_objects_come_in_pages(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir.archive.http.paging.PAGE", 30)
    monkeypatch.setattr("cbmir.archive.orthanc.archive.BATCH", 20)
    large = generate_uid()
    for number in range(300):
        orthanc.send(make_dicom(number, **({"StudyInstanceUID": large, "PatientID": "P"} if number < 200 else {})))
    studies = {each.study_instance_uid: each.instances for each in archive.studies()}
    assert len(studies) == 101
    assert studies[large] == 200
    assert sum(count or 0 for count in studies.values()) == archive.count() == 300
    assert len({each.sop_instance_uid for each in archive.instances(large)}) == 200


def test_studies_are_found_by_date(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]
) -> None:
    for number, date in enumerate(["20200101", "20200102", "20200103"]):
        orthanc.send(make_dicom(number, StudyDate=date))

    def count(*dates: str) -> int:
        return len(list(archive.studies(*dates)))

    assert [count(), count("20200102"), count("", "20200102"), count("20200102", "20200102")] == [3, 2, 2, 1]


def test_the_log_tells_what_came_since(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir.archive.orthanc.archive.LOG_PAGE", 3)
    orthanc.send(make_dicom(0))
    begun = archive.changes("")
    assert (begun.instances, begun.done) == ((), True)
    sent = [orthanc.send(make_dicom(number)) for number in (1, 2, 3)]
    found, cursor, done = list[str](), begun.cursor, False
    while not done:
        changes = archive.changes(cursor)
        found, cursor, done = [*found, *changes.instances], changes.cursor, changes.done
    assert found == sent
    assert archive.changes(cursor).instances == ()
    assert [each.remote_id for each in archive.described(found)] != []


def test_a_replaced_object_is_logged_and_its_digest_changes(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]
) -> None:
    remote_id = orthanc.send(make_dicom(1))
    (before,) = archive.described([remote_id])
    cursor = archive.changes("").cursor
    orthanc.send(make_dicom(1, BodyPartExamined="CHEST"))
    assert archive.changes(cursor).instances == (remote_id,)
    (after,) = archive.described([remote_id])
    assert before.digest != after.digest
    assert (before.body_part, after.body_part) == ("HEAD", "CHEST")
    assert list(archive.instances(after.study_instance_uid)) == [after]


def test_what_was_deleted_is_described_no_more_and_counted_no_more(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes], tmp_path: Path
) -> None:
    study = generate_uid()
    ids = [orthanc.send(make_dicom(number, StudyInstanceUID=study, PatientID="P")) for number in range(3)]
    (before,) = archive.studies()
    instances = list(archive.instances(study))
    orthanc.delete(f"/instances/{ids[0]}")
    (after,) = archive.studies()
    assert sorted(each.remote_id for each in archive.described(ids)) == sorted(ids[1:])
    assert (before.instances, after.instances, archive.count()) == (3, 2, 2)
    found = {each.instance.remote_id: each.error for each in archive.fetch(instances, tmp_path)}
    assert isinstance(found[ids[0]], NotFound)
    assert found[ids[1]] is found[ids[2]] is None
    orthanc.delete(f"/studies/{orthanc.get('/studies')[0]}")
    assert list(archive.studies()) == list(archive.instances(study)) == list(archive.described(ids)) == []
    assert archive.count() == 0


def test_a_log_that_begins_anew_is_read_from_its_beginning(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]
) -> None:
    sent = orthanc.send(make_dicom(1))
    changes = archive.changes("1000000")  # as of the Orthanc that was here before
    assert (changes.instances, changes.cursor, changes.done) == ((), "0", False)
    assert archive.changes(changes.cursor).instances == (sent,)
    with pytest.raises(BadRequest, match="log"):
        archive.changes("yesterday")


def test_two_studies_with_one_uid_are_one(
    archive: OrthancArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]
) -> None:
    study = generate_uid()
    for number in (1, 2):
        orthanc.send(make_dicom(number, StudyInstanceUID=study, PatientID=f"P{number}"))
    assert [each.study_instance_uid for each in archive.studies()] == [study]
    assert len(list(archive.instances(study))) == 2


def test_what_is_not_taken_is_refused(
    archive: OrthancArchive, make_dicom: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "text.dcm").write_text("no DICOM")
    (tmp_path / "no-patient.dcm").write_bytes(make_dicom(1)[:400])
    for path in tmp_path.iterdir():
        with pytest.raises(ArchiveRefused, match="archive pacs"):
            archive.store([path])


def test_what_it_can_do_is_told(
    archive: OrthancArchive, orthanc: Orthanc, reached: Connection, make_dicom: Callable[..., bytes]
) -> None:
    orthanc.send(make_dicom(1))
    checks = {each.what: each for each in archive.test()}
    assert all(each.fine for each in checks.values())
    assert checks["count"].said == "It has 1 objects."
    wrong = OrthancArchive(replace(reached, credentials=Credentials("alice", "wrong")))
    (refused,) = wrong.test()
    assert (refused.what, refused.fine) == ("credentials", False)
    wrong.close()


@pytest.mark.parametrize(
    "answer",
    [b"<html>", {"Changes": [5], "Last": "x"}, [], {}, {"Last": "x"}, [[]], [{"MainDicomTags": 5}]],
    ids=str,
)
def test_what_does_not_answer_like_orthanc(serve: Any, connection: Connect, answer: Any) -> None:
    archive = OrthancArchive(connection(serve(lambda _: (200, answer, {})).url, ArchiveKind.ORTHANC))
    asks: list[Callable[[], Any]] = [archive.count, lambda: archive.changes(""), lambda: archive.changes("1")]
    asks += [] if answer == [] else [lambda: list(archive.studies())]
    for ask in asks:
        with pytest.raises(ArchiveGarbled):
            ask()
    archive.close()


def test_an_orthanc_that_is_too_old_is_told_to_be(serve: Any, connection: Connect) -> None:
    def script(asked: Any) -> Any:
        answers = {"/system": {"Version": "1.5.6"}, "/statistics": {"CountInstances": 0}, "/changes": {"Last": 0}}
        return 200, answers[asked.path], {}

    archive = OrthancArchive(connection(serve(script).url, ArchiveKind.ORTHANC))
    (failed,) = [each for each in archive.test() if not each.fine]
    assert failed.what == "version"
    assert "1.9.4" in failed.remedy
    archive.close()
