"""Servers that answer WADO-RS in ways that must neither hang us nor pass for an object."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cbmir.archive.connection import Connection
from cbmir.archive.dicomweb import DicomWebArchive
from cbmir.archive.http import answers
from cbmir.archive.http.objects import TOGETHER
from cbmir.archive.http.together import FAILURES
from cbmir.errors import ArchiveGarbled, ArchiveUnavailable

Connect = Callable[..., Connection]
COUNT = TOGETHER + 2
HEAD = b"--a-boundary\r\nContent-Type: application/dicom\r\n"


@pytest.mark.parametrize("count", [1, COUNT])
@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b"", b"\r\n" * 1000),
        (HEAD, b"X: y\r\n" * 1000),
        (HEAD + b"X: ", b"y" * 1000),
        (b"", (HEAD + b"\r\n\r\n") * 100),
        (HEAD + b"\r\nno object\r\n--a-boundary--\r\n", b"more" * 1000),
    ],
)
def test_an_answer_without_end_and_without_an_object_is_not_read_to_its_end(
    raw: Callable[..., str],
    connection: Connect,
    make_series: Any,
    wado: Any,
    tmp_path: Path,
    begin: bytes,
    again: bytes,
    count: int,
) -> None:
    def say(client: Any) -> None:
        client.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {wado.headers['Content-Type']}\r\n\r\n".encode() + begin)
        while True:
            client.sendall(again)

    archive = DicomWebArchive(connection(raw(say)))
    came = list(archive.fetch([wado.remote(data) for data in make_series(count)], tmp_path))
    archive.close()
    assert [type(each.error) for each in came] == [ArchiveGarbled] * count
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hospital(make_hospital: Any, make_series: Any) -> Any:
    return make_hospital(make_series(COUNT))


def fetched(archive: DicomWebArchive, hospital: Any, folder: Path) -> dict[str, bytes]:
    """What came, by UID."""
    came = list(archive.fetch(list(hospital.objects), folder))
    assert len(came) == len(hospital.objects)
    return {each.instance.sop_instance_uid: each.file.read_bytes() for each in came if each.file}


def test_an_object_of_a_series_that_is_shorter_than_it_says_is_asked_for_alone(
    serve: Any, hospital: Any, connection: Connect, wado: Any, tmp_path: Path
) -> None:
    def cut(found: list[bytes]) -> Any:
        _, third, _ = wado.announced(found[3][:-100], len(found[3]))
        body = wado.multipart(*found[:3]).removesuffix(b"--a-boundary--") + third.removesuffix(b"--a-boundary--")
        return 200, body + wado.multipart(*found[4:]), wado.headers

    hospital.of_series = cut
    archive = DicomWebArchive(connection(serve(hospital).url, parallel=1))
    assert list(fetched(archive, hospital, tmp_path).values()) == list(hospital.objects.values())
    assert hospital.one_by_one == hospital.uids[3:]
    archive.close()


def test_a_boundary_among_the_pixels_of_a_series_cuts_no_object(
    serve: Any, make_hospital: Any, make_series: Any, connection: Connect, tmp_path: Path
) -> None:
    pixels = b"\r\n--a-boundary\r\n" + bytes(1024)
    hospital = make_hospital(make_series(COUNT, PixelData=pixels[:1024]))
    archive = DicomWebArchive(connection(serve(hospital).url, parallel=1))
    came = list(archive.fetch(list(hospital.objects), tmp_path))
    assert [type(each.error) for each in came] == [ArchiveGarbled] * COUNT  # of such a server none can be had
    assert list(tmp_path.iterdir()) == []
    archive.close()


def test_a_server_that_answers_with_other_objects_is_not_asked_for_many_series(
    serve: Any, hospital: Any, connection: Connect, wado: Any, make_dicom: Any, tmp_path: Path
) -> None:
    hospital.of_series = lambda _: wado.answer(make_dicom(99))
    archive = DicomWebArchive(connection(serve(hospital).url))
    for _ in range(FAILURES + 2):
        assert fetched(archive, hospital, tmp_path).keys() == set(hospital.uids)
    assert hospital.series == FAILURES
    archive.close()


def test_who_was_quick_may_not_be_slow_for_ever(
    raw: Callable[..., str],
    connection: Connect,
    make_dicom: Any,
    wado: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "SLOWEST", 100)  # what is sent at once would give it hours
    began = HEAD + b"\r\n" + make_dicom(1) + bytes(1024**2)

    def say(client: Any) -> None:
        client.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {wado.headers['Content-Type']}\r\n\r\n".encode() + began)
        while True:
            time.sleep(0.2)
            client.sendall(b".")

    archive = DicomWebArchive(connection(raw(say), timeout_seconds=1.0))
    (came,) = archive.fetch([wado.remote(make_dicom(1))], tmp_path)
    archive.close()
    assert isinstance(came.error, ArchiveUnavailable)
    assert "in time" in came.error.sentence


def test_our_own_time_is_not_the_archive_s(
    serve: Any,
    make_hospital: Any,
    make_series: Any,
    connection: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "SLOWEST", 10**9)  # nothing is put to its credit
    hospital = make_hospital(make_series(4 * COUNT, PixelData=bytes(100_000)))
    archive = DicomWebArchive(connection(serve(hospital).url, parallel=1, timeout_seconds=1.0))
    came = []
    for each in archive.fetch(list(hospital.objects), tmp_path):
        time.sleep(0.1)  # as if it were converted
        came.append(each)
    archive.close()
    assert [each.error for each in came] == [None] * 4 * COUNT
    assert hospital.one_by_one == []
