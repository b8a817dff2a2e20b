"""DICOMweb with real servers: Orthanc's plugin, and tiny-pacs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, generate_uid

from cbmir.archive.base import Archive, RemoteInstance
from cbmir.archive.connection import Connection, Credentials
from cbmir.archive.dicomweb import DicomWebArchive
from cbmir.dicom.header import describe
from cbmir.errors import ArchiveRefused, NotFound

if TYPE_CHECKING:
    from conftest import Orthanc

Connect = Callable[..., Connection]


@pytest.fixture
def archive(orthanc: Orthanc, connection: Connect) -> Iterator[DicomWebArchive]:
    made = connection(f"{orthanc.url}/dicom-web", credentials=Credentials(*orthanc.auth), timeout_seconds=30.0)
    archive = DicomWebArchive(made)
    yield archive
    archive.close()


def fetched(archive: Archive, instances: list[RemoteInstance], folder: Path) -> set[bytes]:
    """The bytes of all files that come; an object that does not is an error."""
    folder.mkdir()
    found = list(archive.fetch(instances, folder))
    assert [each.error for each in found if each.error] == []
    return {each.file.read_bytes() for each in found if each.file}


def test_objects_go_there_and_back_unchanged(archive: DicomWebArchive, varied: list[Path], tmp_path: Path) -> None:
    archive.store(varied)
    (study,) = archive.studies()
    header = describe(dcmread(varied[0]), "first")
    assert (study.study_instance_uid, study.instances) == (header.study_instance_uid, len(varied))
    instances = list(archive.instances(study.study_instance_uid))
    first = next(each for each in instances if each.sop_instance_uid == header.sop_instance_uid)
    assert first.series_instance_uid == header.series_instance_uid
    assert (first.sop_class_uid, first.modality, first.body_part) == (header.sop_class_uid, "MR", "HEAD")
    assert fetched(archive, instances, tmp_path / "spool") == {path.read_bytes() for path in varied}


def test_a_patient_is_known_by_the_key_that_the_header_gives(
    archive: DicomWebArchive, make_dicom: Callable[..., bytes], orthanc: Orthanc, tmp_path: Path
) -> None:
    for number, attributes in enumerate([{}, {"IssuerOfPatientID": "here"}, {"PatientID": None}]):
        orthanc.send(make_dicom(number, **attributes))
    for study in archive.studies():
        (instance,) = archive.instances(study.study_instance_uid)
        (found,) = archive.fetch([instance], tmp_path)
        assert found.file is not None
        assert study.patient_key == describe(dcmread(found.file), "it").patient_key


def test_a_study_of_many_objects_comes_in_pages(
    archive: DicomWebArchive,
    orthanc: Orthanc,
    make_dicom: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("cbmir.archive.http.paging.PAGE", 100)
    study = generate_uid()
    sent = {make_dicom(number, StudyInstanceUID=study, PatientID="P") for number in range(320)}
    for data in sent:
        orthanc.send(data)
    instances = list(archive.instances(study))
    assert len({each.sop_instance_uid for each in instances}) == len(instances) == 320
    assert fetched(archive, instances, tmp_path / "spool") == sent


def test_studies_are_found_by_date(
    archive: DicomWebArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]
) -> None:
    for number, date in enumerate(["20200101", "20200102", "20200103"]):
        orthanc.send(make_dicom(number, StudyDate=date))

    def count(*dates: str) -> int:
        return len(list(archive.studies(*dates)))

    assert [count(), count("20200102"), count("", "20200102"), count("20200102", "20200102")] == [3, 2, 2, 1]


def test_the_stamp_changes_when_a_series_comes(
    archive: DicomWebArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]
) -> None:
    study = generate_uid()
    orthanc.send(make_dicom(1, StudyInstanceUID=study))
    (before,) = archive.studies()
    orthanc.send(make_dicom(2, StudyInstanceUID=study, PatientID="P1", Modality="SR"))
    (after,) = archive.studies()
    assert before.stamp != after.stamp
    assert (before.instances, after.instances) == (1, 2)


def test_frames_and_pictures(archive: DicomWebArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes]) -> None:
    frames = [bytes([number, 0] * 24 * 24) for number in range(3)]
    orthanc.send(make_dicom(1, NumberOfFrames=3, PixelData=b"".join(frames)))
    (study,) = archive.studies()
    (instance,) = archive.instances(study.study_instance_uid)
    assert [archive.frame(instance, number) for number in (1, 2, 3)] == frames
    assert archive.rendered(instance).startswith(b"\x89PNG")
    assert archive.rendered(instance, 2, "image/jpeg").startswith(b"\xff\xd8")
    for ask in (lambda: archive.frame(instance, 4), lambda: archive.rendered(instance, 4)):
        with pytest.raises((ArchiveRefused, NotFound)):
            ask()


def test_an_object_that_is_gone_is_told_beside_the_others(
    archive: DicomWebArchive, orthanc: Orthanc, make_dicom: Callable[..., bytes], tmp_path: Path
) -> None:
    study = generate_uid()
    gone, _ = [orthanc.send(make_dicom(number, StudyInstanceUID=study, PatientID="P")) for number in (1, 2)]
    instances = list(archive.instances(study))
    orthanc.delete(f"/instances/{gone}")
    found = list(archive.fetch(instances, tmp_path))
    assert sorted(type(each.error).__name__ for each in found) == ["NoneType", "NotFound"]
    orthanc.delete(f"/studies/{orthanc.get('/studies')[0]}")
    assert list(archive.instances(study)) == []


def test_what_the_server_can_do_is_told(
    archive: DicomWebArchive, orthanc: Orthanc, connection: Connect, make_dicom: Callable[..., bytes]
) -> None:
    assert {each.what: each.said for each in archive.test()}["WADO-RS"] == "Unknown: it has no object yet."
    orthanc.send(make_dicom(1))
    orthanc.send(make_dicom(2))
    checks = {each.what: each for each in archive.test()}
    assert all(each.fine for each in checks.values())
    assert list(checks) == ["reachable", "credentials", "QIDO-RS", "paging", "WADO-RS", "STOW-RS"]
    assert checks["paging"].said == "It pages by limit and offset."
    wrong = DicomWebArchive(connection(f"{orthanc.url}/dicom-web", credentials=Credentials("alice", "wrong")))
    (refused,) = wrong.test()
    assert (refused.what, refused.fine) == ("credentials", False)
    assert refused.remedy
    wrong.close()
    elsewhere = DicomWebArchive(connection(f"https://127.0.0.1:{urlsplit(orthanc.url).port}/dicom-web"))
    (unreached,) = elsewhere.test()
    assert (unreached.what, unreached.fine) == ("reachable", False)
    assert "TLS" in unreached.said
    elsewhere.close()


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@contextmanager
def tiny_pacs(folder: Path) -> Iterator[str]:
    """The URL of a tiny-pacs of this test's own, which keeps all in memory and asks for the token `hush`."""
    port, dicom_port = free_ports()
    configuration = {
        "ae": {"ae_title": ["TINY"], "port": dicom_port},
        "components": {
            "Database": {"on": True, "driver": "sqlite", "db_name": None, "mode": "memory", "uri": True},
            "Devices": {"on": True},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": True},
            "HttpServer": {"on": True, "host": "127.0.0.1", "port": port},
            "DICOMWeb": {"on": True, "prefix": "/dicomweb", "auth": "token", "tokens": ["hush"]},
        },
    }
    (folder / "tiny.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "tiny_pacs", "run", "-c", str(folder / "tiny.json")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}/dicomweb"
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert server.poll() is None, "tiny-pacs ends by itself"
            assert time.monotonic() < deadline, "tiny-pacs does not start"
            time.sleep(0.1)


def transfer_syntax(path: Path) -> UID:
    return read_file_meta_info(path).TransferSyntaxUID


def test_another_server_lists_objects_by_series_and_gives_them_unchanged(
    connection: Connect, varied: list[Path], tmp_path: Path
) -> None:
    pytest.importorskip("tiny_pacs_dicomweb")
    with tiny_pacs(tmp_path) as url:
        archive = DicomWebArchive(connection(url, credentials=Credentials(token="hush")))
        deflated = [path for path in varied if transfer_syntax(path).is_deflated]
        taken = [path for path in varied if path not in deflated]
        archive.store(taken)
        with pytest.raises(ArchiveRefused, match=r"did not store 2 of 2 objects.*failure reason 272"):
            archive.store(deflated)
        assert all(each.fine for each in archive.test())
        (study,) = archive.studies()
        instances = list(archive.instances(study.study_instance_uid))
        assert {each.modality for each in instances} == {"MR"}
        assert fetched(archive, instances, tmp_path / "spool") == {path.read_bytes() for path in taken}
        assert list(archive.instances("1.2.3")) == []
        archive.close()
