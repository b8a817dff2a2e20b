"""An archive by DIMSE: dcmqrscp and a real Orthanc."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
import requests

from cbmir.archive.base import Archive
from cbmir.archive.connection import Retrieval
from cbmir.archive.dimse import retrieval
from cbmir.archive.dimse.archive import DimseArchive

UNCOMPRESSED = ("MR_small.dcm", "MR_small_implicit.dcm", "CT_small.dcm", "rtdose_1frame.dcm")
COMPRESSED = (
    *UNCOMPRESSED,
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEGLSNearLossless_08.dcm",
)


@dataclass(frozen=True)
class Peer:
    """A real archive: how it is reached, how files come into it, the names of those that it takes, and its own copy
    of an object."""

    aet: str
    port: int
    send: Callable[..., object]
    names: tuple[str, ...]
    copy: Callable[[str], bytes]


@pytest.fixture(params=["dcmqrscp", "orthanc"])
def peer(request: pytest.FixtureRequest, move_port: int) -> Peer:
    if request.param == "dcmqrscp":
        server = request.getfixturevalue("qrscp")
        return Peer("QRSCP", server.port, server.send, UNCOMPRESSED, server.copy)
    modality = {"AET": "CBMIR", "Host": "127.0.0.1", "Port": move_port, "AllowGet": True}
    start = request.getfixturevalue("start_orthanc")
    orthanc = start(DicomModalities={"cbmir": modality}, DicomAlwaysAllowFind=True, DicomAlwaysAllowGet=True)

    def send(*files: Path) -> None:
        for file in files:
            orthanc.send(file.read_bytes())

    def copy(sop_instance_uid: str) -> bytes:
        found = requests.post(f"{orthanc.url}/tools/lookup", sop_instance_uid, auth=orthanc.auth, timeout=10).json()
        answer = requests.get(f"{orthanc.url}/instances/{found[0]['ID']}/file", auth=orthanc.auth, timeout=10)
        return answer.content

    return Peer("ORTHANC", orthanc.dicom_port, send, COMPRESSED, copy)


def uid(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)


def test_what_it_accepts_is_told(peer: Peer, connect: Callable[..., DimseArchive]) -> None:
    checks = connect(peer.aet, peer.port, retrieve=Retrieval.MOVE).test()
    assert {check.what for check in checks} >= {"association", "C-ECHO", "C-FIND", "C-GET", "C-MOVE", "C-STORE"}
    assert [check for check in checks if not check.fine] == []


def test_whether_it_counts_a_studys_objects_is_told(
    peer: Peer, connect: Callable[..., DimseArchive], objects: Callable[..., list[Path]]
) -> None:
    def counts() -> str:
        (check,) = [each for each in connect(peer.aet, peer.port).test() if each.what == "counts"]
        assert check.fine
        return check.said

    assert counts() == "Unknown: it lists no study yet."
    peer.send(*objects(1))
    peer.send(*objects(1, first=1, StudyInstanceUID="1.2.3.2", SeriesInstanceUID="1.2.3.2.1"))
    said = {"ORTHANC": "It says how many objects each study has.", "QRSCP": "It does not say how many objects"}
    assert counts().startswith(said[peer.aet])


def test_studies_come_with_counts_and_whose_they_are(
    peer: Peer, connect: Callable[..., DimseArchive], objects: Callable[..., list[Path]]
) -> None:
    peer.send(*objects(3, StudyDate="20240131", IssuerOfPatientID="CLINIC"))
    peer.send(*objects(1, first=3, StudyInstanceUID="1.2.3.2", SeriesInstanceUID="1.2.3.2.1", StudyDate="20240201"))
    archive = connect(peer.aet, peer.port)
    assert isinstance(archive, Archive)
    found = {study.study_instance_uid: study for study in archive.studies()}
    assert set(found) == {"1.2.3.1", "1.2.3.2"}
    assert found["1.2.3.1"].instances in (3, None)
    assert found["1.2.3.1"].patient_key.split("\\")[0] == "P1"
    assert [study.study_instance_uid for study in archive.studies(since="20240201")] == ["1.2.3.2"]
    assert [study.study_instance_uid for study in archive.studies("20240131", "20240131")] == ["1.2.3.1"]


def test_objects_of_a_study_are_listed(
    peer: Peer, connect: Callable[..., DimseArchive], objects: Callable[..., list[Path]]
) -> None:
    files = objects(3)
    peer.send(*files)
    found = list(connect(peer.aet, peer.port).instances("1.2.3.1"))
    assert {each.sop_instance_uid for each in found} == {uid(file) for file in files}
    assert {(each.series_instance_uid, each.modality) for each in found} == {("1.2.3.1.1", "MR")}
    assert list(connect(peer.aet, peer.port).instances("1.2.3.99")) == []


@pytest.mark.parametrize("how", list(Retrieval))
def test_fetched_objects_are_the_bytes_that_were_stored(
    peer: Peer,
    how: Retrieval,
    connect: Callable[..., DimseArchive],
    tmp_path: Path,
    data_set: Callable[[Path], bytes],
    in_syntaxes: Callable[..., list[Path]],
) -> None:
    files = in_syntaxes(peer.names)
    for file in files:
        peer.send(file)
    archive = connect(peer.aet, peer.port, retrieve=how)
    wanted = [each for study in archive.studies() for each in archive.instances(study.study_instance_uid)]
    found = list(archive.fetch(wanted, tmp_path / "spool"))
    assert [each.error for each in found if each.error] == []
    assert {each.instance.sop_instance_uid for each in found} == {uid(file) for file in files}
    for file in files:
        kept = tmp_path / "kept.dcm"
        kept.write_bytes(peer.copy(uid(file)))
        assert data_set(tmp_path / "spool" / f"{uid(file)}.dcm") == data_set(kept), file.name
    assert sorted(path.name for path in (tmp_path / "spool").iterdir()) == sorted(f"{uid(f)}.dcm" for f in files)


@pytest.mark.parametrize("how", [Retrieval.GET, Retrieval.MOVE])
def test_no_more_is_brought_ahead_than_a_request_of_each_association(
    peer: Peer,
    connect: Callable[..., DimseArchive],
    objects: Callable[..., list[Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: Retrieval,
) -> None:
    monkeypatch.setattr(retrieval, "AT_ONCE", 4)
    peer.send(*objects(24))
    archive, folder = connect(peer.aet, peer.port, retrieve=how, parallel=1), tmp_path / "fetched"
    coming = archive.fetch(list(archive.instances("1.2.3.1")), folder)
    first = next(coming)
    time.sleep(2)  # the archive brings 24 such objects in less than one
    assert len(list(folder.glob("*.dcm"))) <= 2 * retrieval.AT_ONCE
    assert len({each.file for each in [first, *coming]} - {None}) == 24
