"""WADO-RS and STOW-RS with servers that send less, more or something else than they are asked for."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from cbmir.archive.base import Fetched, RemoteInstance
from cbmir.archive.connection import Connection
from cbmir.archive.dicomweb import DicomWebArchive
from cbmir.errors import (
    ArchiveGarbled,
    ArchiveRefused,
    ArchiveUnavailable,
    BrokenFile,
    CbmirError,
    DiskFull,
    NotFound,
)

Connect = Callable[..., Connection]


def fetch(connection: Connection, folder: Path, *instances: RemoteInstance) -> list[Fetched]:
    archive = DicomWebArchive(connection)
    try:
        return list(archive.fetch(instances, folder))
    finally:
        archive.close()


def test_an_object_comes_as_it_is_and_is_named_by_its_uid(
    serve: Any, connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    data = make_dicom(1)
    server = serve(lambda _: wado.answer(data))
    (fetched,) = fetch(connection(server.url), tmp_path, wado.remote(data))
    assert fetched.file == tmp_path / f"{fetched.instance.sop_instance_uid}.dcm"
    assert fetched.file.read_bytes() == data
    assert server.asked[0].headers["accept"].endswith("transfer-syntax=*")
    assert server.asked[0].path == (
        f"/studies/{fetched.instance.study_instance_uid}/series/{fetched.instance.series_instance_uid}"
        f"/instances/{fetched.instance.sop_instance_uid}"
    )


def test_an_object_without_multipart_is_taken(
    serve: Any, connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    data = make_dicom(1)
    server = serve(lambda _: (200, data, {"Content-Type": "application/dicom"}))
    (fetched,) = fetch(connection(server.url), tmp_path, wado.remote(data))
    assert fetched.file is not None
    assert fetched.file.read_bytes() == data


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (lambda wado, data, _: wado.answer(data, cut="1000"), ArchiveUnavailable, "broke off"),
        (lambda wado, data, _: (200, wado.multipart(data)[:-20], wado.headers), ArchiveUnavailable, "broke off"),
        (lambda wado, data, _: wado.announced(data[:-100], len(data)), ArchiveUnavailable, "broke off"),
        (lambda wado, _, other: wado.answer(other), ArchiveGarbled, "another object"),
        (lambda wado, data, other: wado.answer(data, other), ArchiveGarbled, "several objects"),
        (lambda wado, *_: wado.answer(), ArchiveGarbled, "no object|no multipart"),
        (lambda wado, *_: wado.answer(b"not DICOM"), ArchiveGarbled, "no DICOM"),
        (lambda wado, *_: (200, b"not multipart", wado.headers), ArchiveGarbled, "no multipart"),
        (lambda *_: (200, b"<html>", {}), ArchiveGarbled, "text/html"),
        (lambda *_: (404, b"", {}), NotFound, "404"),
        (lambda *_: (406, b"", {}), ArchiveRefused, "406"),
        (lambda *_: (500, b"", {}), ArchiveUnavailable, "500"),
    ],
)
def test_what_is_no_such_object_is_told_and_nothing_is_left(
    serve: Any,
    connection: Connect,
    make_dicom: Callable[..., bytes],
    tmp_path: Path,
    answer: Any,
    error: type[CbmirError],
    said: str,
    wado: Any,
) -> None:
    data, fine = make_dicom(1), make_dicom(3)
    wanted = wado.remote(data)

    def script(asked: Any) -> Any:
        if asked.path.endswith(wanted.sop_instance_uid):
            return answer(wado, data, make_dicom(2))
        return 200, wado.multipart(fine), wado.headers

    found = {
        each.instance: each for each in fetch(connection(serve(script).url), tmp_path, wanted, wado.remote(fine))
    }
    assert isinstance(found[wanted].error, error)
    with pytest.raises(error, match=said):
        raise found[wanted].error  # type: ignore[misc]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [fine]


def test_an_object_that_is_not_there_is_named_and_the_address_is_not_doubted(
    serve: Any, connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    wanted = wado.remote(make_dicom(1))
    (found,) = fetch(connection(serve(lambda _: (404, b"", {})).url), tmp_path, wanted)
    assert isinstance(found.error, NotFound)
    assert wanted.sop_instance_uid in found.error.reason
    assert "deleted there" in found.error.remedy
    assert "address" not in found.error.sentence


def test_an_object_that_breaks_off_is_asked_for_once_more(
    serve: Any, connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    data = make_dicom(1)
    answers = iter([wado.answer(data, cut="1000"), wado.answer(data)])
    (fetched,) = fetch(connection(serve(lambda _: next(answers)).url), tmp_path, wado.remote(data))
    assert fetched.error is None


def test_a_uid_that_is_a_path_leads_nowhere(serve: Any, connection: Connect, tmp_path: Path) -> None:
    server = serve(lambda _: (200, b"", {}))
    (tmp_path / "spool").mkdir()
    (fetched,) = fetch(connection(server.url), tmp_path / "spool", RemoteInstance("../escaped", "1.2", "1.3"))
    assert isinstance(fetched.error, BrokenFile)
    assert server.asked == []


@pytest.mark.parametrize(("status", "error"), [(401, ArchiveRefused), (503, ArchiveUnavailable)])
def test_a_lost_archive_is_an_error_after_what_came(
    serve: Any,
    connection: Connect,
    make_dicom: Callable[..., bytes],
    tmp_path: Path,
    status: int,
    error: type[CbmirError],
    monkeypatch: pytest.MonkeyPatch,
    wado: Any,
) -> None:
    monkeypatch.setattr("cbmir.archive.http.session.REPEATS", 0)
    known = {wado.remote(data).sop_instance_uid: data for data in map(make_dicom, range(30))}
    first = list(known)[:3]

    def script(asked: Any) -> Any:
        uid = asked.path.rpartition("/")[2]
        return wado.answer(known[uid]) if uid in first else (status, b"", {})

    archive = DicomWebArchive(connection(serve(script).url, parallel=2))
    came: list[Fetched] = []
    coming = archive.fetch([wado.remote(data) for data in known.values()], tmp_path)
    with pytest.raises(error):
        take(coming, came)
    archive.close()
    assert len([each for each in came if each.file]) == 3
    assert len(came) < 20
    assert len(list(tmp_path.iterdir())) == 3


def take(coming: Iterator[Fetched], came: list[Fetched]) -> None:
    """As much as comes, even if an error ends it."""
    for fetched in coming:
        came.append(fetched)  # noqa: PERF402


def test_who_stops_listening_leaves_nothing_running(
    serve: Any, connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    known = {wado.remote(data).sop_instance_uid: data for data in map(make_dicom, range(30))}
    server = serve(lambda asked: wado.answer(known[asked.path.rpartition("/")[2]]))
    archive = DicomWebArchive(connection(server.url, parallel=2))
    coming = archive.fetch([wado.remote(data) for data in known.values()], tmp_path)
    next(coming)
    coming.close()  # type: ignore[attr-defined]
    archive.close()
    assert len(server.asked) <= 6


def test_a_full_disk_stops_the_fetching(
    serve: Any, connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    data = make_dicom(1, PixelData=bytes(200_000))
    server = serve(lambda _: wado.answer(data))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DiskFull):
            fetch(connection(server.url), tmp_path, wado.remote(data))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_object(
    raw: Callable[..., str], connection: Connect, make_dicom: Callable[..., bytes], tmp_path: Path, wado: Any
) -> None:
    data = make_dicom(1, PixelData=b"")
    size = 200 * 1024**2
    large = data[:-4] + size.to_bytes(4, "little")  # the length of Pixel Data, the last element

    def send(client: Any) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: " + wado.headers["Content-Type"].encode() + b"\r\n\r\n")
        client.sendall(wado.multipart(large).removesuffix(b"\r\n--a-boundary--"))
        for _ in range(size >> 20):
            client.sendall(bytes(1 << 20))
        client.sendall(b"\r\n--a-boundary--")

    tracemalloc.start()
    (fetched,) = fetch(connection(raw(send)), tmp_path, wado.remote(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fetched.file is not None
    assert fetched.file.stat().st_size == len(large) + size
    assert peak < 20 * 1024**2


def stored(*uids: str) -> dict[str, Any]:
    return {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids]}}


def failed(uid: str) -> dict[str, Any]:
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [43264]}}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


@pytest.fixture
def files(make_dicom: Callable[..., bytes], tmp_path: Path) -> list[Path]:
    """45 small objects."""
    paths = [tmp_path / f"{number}.dcm" for number in range(45)]
    for number, path in enumerate(paths):
        path.write_bytes(make_dicom(number))
    return paths


def uids_of(body: bytes) -> list[str]:
    parts = body.split(b"Content-Type: application/dicom\r\n\r\n")[1:]
    return [pydicom.dcmread(BytesIO(part), stop_before_pixels=True).SOPInstanceUID for part in parts]


def test_objects_are_sent_twenty_at_a_time_as_they_are(serve: Any, connection: Connect, files: list[Path]) -> None:
    server = serve(lambda asked: (200, stored(*uids_of(asked.body)), {}))
    DicomWebArchive(connection(server.url)).store(files)
    assert [len(uids_of(each.body)) for each in server.asked] == [20, 20, 5]
    assert all(file.read_bytes() in server.asked[n // 20].body for n, file in enumerate(files))
    assert server.asked[0].path == "/studies"
    assert (
        server.asked[0].headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    )


def test_an_object_that_is_not_named_as_stored_was_not_stored(
    serve: Any, connection: Connect, files: list[Path]
) -> None:
    server = serve(lambda asked: (200, stored(*uids_of(asked.body)[1:]), {}))
    with pytest.raises(ArchiveRefused, match=r"did not store 1 of 3 objects, such as .*: it gives no reason"):
        DicomWebArchive(connection(server.url)).store(files[:3])


@pytest.mark.parametrize("status", [200, 202, 409])
def test_an_object_that_failed_is_named_with_its_reason(
    serve: Any, connection: Connect, files: list[Path], status: int
) -> None:
    def script(asked: Any) -> Any:
        first, *others = uids_of(asked.body)
        return status, failed(first) | stored(*others), {}

    with pytest.raises(ArchiveRefused, match=r"did not store 1 of 2 objects.*failure reason 43264"):
        DicomWebArchive(connection(serve(script).url)).store(files[:2])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, b"<html>", {}), ArchiveGarbled),
        ((200, [], {}), ArchiveGarbled),
        ((200, {}, {}), ArchiveRefused),
        ((404, b"", {}), ArchiveRefused),
        ((403, b"", {}), ArchiveRefused),
        ((503, b"", {}), ArchiveUnavailable),
    ],
)
def test_an_answer_that_tells_nothing_is_no_success(
    serve: Any, connection: Connect, files: list[Path], answer: Any, error: type[CbmirError]
) -> None:
    with pytest.raises(error, match="archive pacs"):
        DicomWebArchive(connection(serve(lambda _: answer).url)).store(files[:1])


def test_what_is_no_dicom_is_not_sent(serve: Any, connection: Connect, tmp_path: Path) -> None:
    server = serve(lambda _: (200, {}, {}))
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(BrokenFile, match=r"text\.dcm"):
        DicomWebArchive(connection(server.url)).store([tmp_path / "text.dcm"])
    assert server.asked == []
