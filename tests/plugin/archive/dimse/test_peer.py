"""What it means when there is no association, or when an archive does not hand over what it lists."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from cbmir.archive.base import RemoteInstance
from cbmir.archive.connection import ArchiveKind, Connection, Retrieval
from cbmir.archive.dimse.address import Address
from cbmir.archive.dimse.archive import DimseArchive
from cbmir.archive.dimse.peer import Peer
from cbmir.archive.dimse.receiver import Receiver
from cbmir.errors import (
    ArchiveGarbled,
    ArchiveRefused,
    ArchiveUnavailable,
    BadRequest,
    BrokenFile,
    NotFound,
    Unavailable,
)

# pynetdicom leaves the socket of a connection that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@contextmanager
def silent(answer: bytes | None) -> Iterator[int]:
    """A TCP server that says these bytes to whoever comes, or nothing, or hangs up; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    stream, _ = listener.accept()
                except OSError:
                    return
                held.append(stream)
                if answer is None:
                    stream.close()
                else:
                    stream.sendall(answer)

        held: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for stream in held:
        stream.close()


def test_nobody_there(connect: Callable[..., DimseArchive], move_port: int) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"PACS@127\.0\.0\.1:\d+.* cannot be reached: Connection refused"):
        list(connect("PACS", move_port).studies())
    (check,) = connect("PACS", move_port).test()
    assert (check.what, check.fine) == ("association", False)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", None], ids=["mute", "http", "hangs up"]
)
def test_one_that_does_not_speak_dicom(connect: Callable[..., DimseArchive], answer: bytes | None) -> None:
    started = time.monotonic()
    with silent(answer) as port, pytest.raises(ArchiveUnavailable, match="did not answer") as said:
        list(connect("PACS", port, timeout_seconds=1.0).studies())
    assert "speaks DICOM on this port" in said.value.remedy
    assert time.monotonic() - started < 8


def test_a_host_that_does_not_exist() -> None:
    archive = DimseArchive(Connection("pacs", ArchiveKind.DIMSE, "PACS@no-such-host.invalid:104"))
    with pytest.raises(ArchiveUnavailable, match="cannot be reached"):
        list(archive.studies())


def test_a_rejection_says_why(connect: Callable[..., DimseArchive], receive: Callable[..., Receiver]) -> None:
    port = receive(allowed=("OTHER",)).port
    with pytest.raises(ArchiveRefused, match="calling AE title not recognised") as said:
        list(connect("CBMIR", port).studies())
    assert said.value.remedy == "Have CBMIR entered there as an AE title that may ask, from this host."
    with pytest.raises(ArchiveRefused, match="called AE title not recognised") as said:
        list(connect("WRONG", receive(folder=Path(receive().landing.folder)).port).studies())
    assert said.value.remedy.startswith("Check its AE title, WRONG. Some say this to strangers, too: have CBMIR")


def test_a_rejection_for_the_moment_says_so(
    connect: Callable[..., DimseArchive], receive: Callable[..., Receiver]
) -> None:
    port = receive(max_associations=1).port
    first = Peer(Connection("pacs", ArchiveKind.DIMSE, f"CBMIR@127.0.0.1:{port}"))
    with (
        first.associated([build_context(Verification)]),
        pytest.raises(ArchiveRefused, match="rejected transient") as said,
    ):
        list(connect("CBMIR", port).studies())
    assert "use a lower --parallel" in said.value.remedy


def test_who_breaks_off_may_not_want_to_give(
    connect: Callable[..., DimseArchive], start_orthanc: Callable[..., Any], make_dicom: Any, tmp_path: Path
) -> None:
    orthanc = start_orthanc(DicomAlwaysAllowFind=True, DicomAlwaysAllowGet=False)
    orthanc.send(make_dicom())
    archive = connect("ORTHANC", orthanc.dicom_port, calling_aet="STRANGER")
    (study,) = archive.studies()
    with pytest.raises(ArchiveUnavailable, match="broke off, or fell silent, while it sent objects") as said:
        list(archive.fetch(list(archive.instances(study.study_instance_uid)), tmp_path / "spool"))
    assert "whether STRANGER may ask for that" in said.value.remedy


def test_a_service_that_is_not_offered_is_named(
    connect: Callable[..., DimseArchive], receive: Callable[..., Receiver]
) -> None:
    with pytest.raises(ArchiveRefused, match="does not accept"):
        list(connect("CBMIR", receive().port).studies())


@pytest.mark.parametrize("how", list(Retrieval))
def test_what_the_archive_no_longer_has_is_not_found(
    connect: Callable[..., DimseArchive],
    qrscp: Any,
    objects: Callable[..., list[Path]],
    tmp_path: Path,
    how: Retrieval,
) -> None:
    qrscp.send(*objects(2))
    archive = connect("QRSCP", qrscp.port, retrieve=how)
    there = list(archive.instances("1.2.3.1"))
    gone = RemoteInstance("1.2.3.404", there[0].series_instance_uid, "1.2.3.1", there[0].sop_class_uid)
    escaping = RemoteInstance("../../escaped", there[0].series_instance_uid, "1.2.3.1", there[0].sop_class_uid)
    found = {each.instance: each for each in archive.fetch([*there, gone, escaping, there[0]], tmp_path / "spool")}
    assert all(found[each].file for each in there)
    assert isinstance(found[gone].error, NotFound)
    assert isinstance(found[escaping].error, ArchiveGarbled)
    assert len(found) == 4


def test_an_unknown_class_is_looked_up(
    connect: Callable[..., DimseArchive], qrscp: Any, objects: Callable[..., list[Path]], tmp_path: Path
) -> None:
    qrscp.send(*objects(1))
    archive = connect("QRSCP", qrscp.port)
    (there,) = archive.instances("1.2.3.1")
    unknown = RemoteInstance(there.sop_instance_uid, there.series_instance_uid, there.study_instance_uid)
    (found,) = archive.fetch([unknown], tmp_path / "spool")
    assert found.file is not None
    assert found.file.exists()


def test_a_receiver_that_the_archive_does_not_know(
    connect: Callable[..., DimseArchive],
    qrscp: Any,
    objects: Callable[..., list[Path]],
    tmp_path: Path,
    move_port: int,
) -> None:
    qrscp.send(*objects(1))
    archive = connect("QRSCP", qrscp.port, retrieve=Retrieval.MOVE, move_aet="NOBODY")
    (found,) = archive.fetch(list(archive.instances("1.2.3.1")), tmp_path / "spool")
    assert isinstance(found.error, ArchiveRefused)
    assert "move destination unknown" in found.error.reason
    place = f"Have NOBODY entered there with this host's address and port {move_port}"
    assert found.error.remedy == f"{place}, or retrieve by C-GET."


def test_a_port_of_ours_that_is_taken(
    connect: Callable[..., DimseArchive], receive: Callable[..., Receiver], tmp_path: Path, move_port: int
) -> None:
    receive(port=move_port, host="0.0.0.0")
    with pytest.raises(Unavailable, match="cannot be listened on"):
        list(connect("CBMIR", move_port, retrieve=Retrieval.MOVE).fetch([], tmp_path / "spool"))


def test_sending_is_refused_in_words(
    connect: Callable[..., DimseArchive],
    receive: Callable[..., Receiver],
    objects: Callable[..., list[Path]],
    tmp_path: Path,
) -> None:
    archive = connect("CBMIR", receive(keep_free=2**62).port)
    with pytest.raises(ArchiveRefused, match=r"out of resources.*A700H"):
        archive.store(objects(1))
    (tmp_path / "no.dcm").write_bytes(b"no")
    with pytest.raises(BrokenFile, match=r"no\.dcm"):
        archive.store([tmp_path / "no.dcm"])


def test_a_kind_that_is_not_taken_is_named(
    connect: Callable[..., DimseArchive], qrscp: Any, in_syntaxes: Callable[..., list[Path]]
) -> None:
    with pytest.raises(ArchiveRefused, match="does not take MR Image Storage in RLE Lossless"):
        connect("QRSCP", qrscp.port).store(in_syntaxes(["MR_small.dcm", "MR_small_RLE.dcm"]))


def test_questions_keep_to_the_pace_that_is_allowed(connect: Callable[..., DimseArchive], qrscp: Any) -> None:
    archive = connect("QRSCP", qrscp.port, requests_per_second=4.0)
    started = time.monotonic()
    for _ in range(4):
        list(archive.studies())
    assert time.monotonic() - started >= 0.75


@pytest.mark.parametrize(
    "text", ["", "PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:99999", "A" * 17 + "@h:1"]
)
def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(BadRequest):
        Address.of(text)


def test_addresses() -> None:
    assert Address.of("PACS@10.0.0.5:104") == Address("PACS", "10.0.0.5", 104)
    assert str(Address.of("MY PACS@[::1]:11112")) == "MY PACS@[::1]:11112"
