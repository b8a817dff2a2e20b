"""Whole series by one answer of WADO-RS, and one by one whatever does not come so."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cbmir.archive.base import Fetched
from cbmir.archive.connection import Connection, Credentials
from cbmir.archive.dicomweb import DicomWebArchive
from cbmir.archive.http.objects import TOGETHER
from cbmir.archive.http.together import FAILURES
from cbmir.errors import ArchiveRefused, DiskFull, NotFound

Connect = Callable[..., Connection]
COUNT = TOGETHER + 2


@pytest.fixture
def hospital(make_hospital: Any, make_series: Callable[..., list[bytes]]) -> Any:
    return make_hospital(make_series(COUNT))


@pytest.fixture
def archive(serve: Any, hospital: Any, connection: Connect) -> Iterator[DicomWebArchive]:
    archive = DicomWebArchive(connection(serve(hospital).url, parallel=1))
    yield archive
    archive.close()


def assert_whole(came: list[Fetched], hospital: Any, folder: Path) -> None:
    """Every object came once, as it is, and nothing else is there."""
    assert len(came) == len(hospital.objects)
    for each in came:
        assert each.file == folder / f"{each.instance.sop_instance_uid}.dcm", each.error
        assert each.file.read_bytes() == hospital.objects[each.instance]
    assert set(folder.iterdir()) == {each.file for each in came}


def test_a_series_comes_by_one_answer(archive: DicomWebArchive, hospital: Any, tmp_path: Path) -> None:
    assert_whole(list(archive.fetch(list(hospital.objects), tmp_path)), hospital, tmp_path)
    (one,) = {(each.study_instance_uid, each.series_instance_uid) for each in hospital.objects}
    assert hospital.asked == [f"/studies/{one[0]}/series/{one[1]}"]


def test_several_series_come_at_one_time_whatever_the_order_they_are_asked_for_in(
    serve: Any, connection: Connect, make_series: Callable[..., list[bytes]], tmp_path: Path, make_hospital: Any
) -> None:
    hospital = make_hospital(
        [data for some in zip(*(make_series(COUNT) for _ in range(5)), strict=True) for data in some]
    )
    archive = DicomWebArchive(connection(serve(hospital).url, parallel=3))
    assert_whole(list(archive.fetch(list(hospital.objects), tmp_path)), hospital, tmp_path)
    assert len(hospital.asked) == 5
    archive.close()


@pytest.mark.parametrize(("count", "rate"), [(TOGETHER - 1, 0.0), (TOGETHER, 1000.0)])
def test_a_few_objects_and_those_of_whom_we_are_to_ask_slowly_come_one_by_one(
    serve: Any, connection: Connect, make_series: Any, tmp_path: Path, count: int, rate: float, make_hospital: Any
) -> None:
    hospital = make_hospital(make_series(count))
    archive = DicomWebArchive(connection(serve(hospital).url, requests_per_second=rate))
    assert_whole(list(archive.fetch(list(hospital.objects), tmp_path)), hospital, tmp_path)
    assert sorted(hospital.one_by_one) == sorted(hospital.uids)
    assert hospital.series == 0
    archive.close()


@pytest.mark.parametrize(
    "broken",
    [
        lambda wado, found: wado.answer(*found, cut=str(len(wado.multipart(*found[:4])) + 100)),
        lambda wado, found: wado.answer(*found[:4]),
        lambda wado, found: (200, wado.multipart(*found[:4])[:-2] + b"\r\n\r\nno more", wado.headers),
        lambda wado, found: wado.answer(*found[:4], b"not DICOM", *found[4:]),
        lambda wado, found: wado.answer(*found[:4], *found),
    ],
)
def test_what_is_missing_is_asked_for_one_by_one_and_nothing_else_is(
    archive: DicomWebArchive, hospital: Any, tmp_path: Path, broken: Any, wado: Any
) -> None:
    hospital.of_series = partial(broken, wado)
    assert_whole(list(archive.fetch(list(hospital.objects), tmp_path)), hospital, tmp_path)
    assert hospital.one_by_one == hospital.uids[4:]


def test_a_series_of_which_something_is_here_is_not_read_on(
    archive: DicomWebArchive, hospital: Any, tmp_path: Path
) -> None:
    wanted = list(hospital.objects)[1:]
    came = list(archive.fetch(wanted, tmp_path))
    assert {each.instance for each in came if each.file} == set(wanted)
    assert len(list(tmp_path.iterdir())) == len(wanted)
    assert hospital.one_by_one == hospital.uids[1:]


def test_an_object_that_is_gone_meanwhile_is_told(archive: DicomWebArchive, hospital: Any, tmp_path: Path) -> None:
    wanted = list(hospital.objects)
    del hospital.objects[wanted[3]]
    came = {each.instance: each for each in archive.fetch(wanted, tmp_path)}
    assert isinstance(came[wanted[3]].error, NotFound)
    assert [each for each in wanted if came[each].file] == list(hospital.objects)
    assert hospital.one_by_one == [wanted[3].sop_instance_uid]


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"", {}),
        (406, b"", {}),
        (500, b"", {}),
        (200, b"<html>", {}),
        (200, b"no multipart", {"Content-Type": "multipart/related; boundary=x"}),
        (200, b"", {"Content-Type": "application/dicom"}),
    ],
)
def test_a_server_that_gives_no_series_is_not_asked_for_many(
    archive: DicomWebArchive, hospital: Any, tmp_path: Path, answer: Any
) -> None:
    hospital.of_series = lambda _: answer
    for turn in range(FAILURES + 2):
        (tmp_path / str(turn)).mkdir()
        came = list(archive.fetch(list(hospital.objects), tmp_path / str(turn)))
        assert_whole(came, hospital, tmp_path / str(turn))
    assert hospital.series == FAILURES


def test_an_archive_that_lets_us_in_no_more_is_an_error(
    hospital: Any, serve: Any, connection: Connect, tmp_path: Path
) -> None:
    archive = DicomWebArchive(connection(serve(lambda _: (401, b"", {})).url))
    with pytest.raises(ArchiveRefused):
        list(archive.fetch(list(hospital.objects), tmp_path))
    archive.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_a_series(
    serve: Any, connection: Connect, make_series: Callable[..., list[bytes]], tmp_path: Path, make_hospital: Any
) -> None:
    hospital = make_hospital(make_series(COUNT, PixelData=bytes(200_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    archive = DicomWebArchive(connection(serve(hospital).url))
    try:
        with pytest.raises(DiskFull):
            list(archive.fetch(list(hospital.objects), tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        archive.close()
    assert list(tmp_path.iterdir()) == []
    assert hospital.one_by_one == []


def test_who_stops_listening_has_no_series_sent_to_its_end(
    serve: Any, connection: Connect, make_series: Any, tmp_path: Path, make_hospital: Any
) -> None:
    hospital = make_hospital([data for _ in range(6) for data in make_series(20)])
    archive = DicomWebArchive(connection(serve(hospital).url, parallel=2))
    coming = archive.fetch(list(hospital.objects), tmp_path)
    next(coming)
    coming.close()  # type: ignore[attr-defined]
    archive.close()
    assert hospital.series <= 2
    assert hospital.one_by_one == []
    assert len(list(tmp_path.iterdir())) < 20


def test_memory_does_not_grow_with_a_series(
    raw: Callable[..., str], connection: Connect, make_series: Any, tmp_path: Path, wado: Any
) -> None:
    size, objects = 16 * 1024**2, make_series(COUNT, PixelData=b"")
    large = [data[:-4] + size.to_bytes(4, "little") for data in objects]  # the length of Pixel Data, the last one

    def send(client: Any) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: " + wado.headers["Content-Type"].encode() + b"\r\n\r\n")
        for data in large:
            client.sendall(b"--a-boundary\r\nContent-Type: application/dicom\r\n\r\n" + data)
            for _ in range(size >> 20):
                client.sendall(bytes(1 << 20))
            client.sendall(b"\r\n")
        client.sendall(b"--a-boundary--")

    archive = DicomWebArchive(connection(raw(send)))
    tracemalloc.start()
    sizes = [
        each.file.stat().st_size for each in archive.fetch(list(map(wado.remote, objects)), tmp_path) if each.file
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    archive.close()
    assert sizes == [len(data) + size for data in large]
    assert peak < 20 * 1024**2


def test_a_real_server_gives_series_unchanged(
    orthanc: Any,
    connection: Connect,
    make_series: Callable[..., list[bytes]],
    varied: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("cbmir.archive.http.objects.TOGETHER", 2)
    sent = {path.read_bytes() for path in varied} | set(make_series(20))
    for data in sent:
        orthanc.send(data)
    archive = DicomWebArchive(connection(f"{orthanc.url}/dicom-web", credentials=Credentials(*orthanc.auth)))
    (tmp_path / "spool").mkdir()
    listed = [each for study in archive.studies() for each in archive.instances(study.study_instance_uid)]
    came = [each.file.read_bytes() for each in archive.fetch(listed, tmp_path / "spool") if each.file]
    assert len(came) == len(sent)
    assert set(came) == sent
    archive.close()
