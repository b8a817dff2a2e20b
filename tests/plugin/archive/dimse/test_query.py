"""C-FIND against archives that do not say everything: a real Orthanc with a limit, and scripted ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from cbmir.archive.dimse.archive import DimseArchive
from cbmir.archive.dimse.spans import DAY, Span
from cbmir.errors import ArchiveGarbled, ArchiveRefused, ArchiveUnavailable, BadRequest

Studies = list[tuple[str, str, str]]
"""UID, date, time of each."""


@contextmanager
def archive(answer: Callable[[Any], Iterator[tuple[int, Dataset | None]]]) -> Iterator[int]:
    """A server that answers each C-FIND as it is told; its port."""
    entity = AE("SCRIPTED")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)])
    yield server.server_address[1]
    server.shutdown()


def holding(studies: Studies, limit: int, last: int) -> Callable[[Any], Iterator[tuple[int, Dataset | None]]]:
    """Answers from these studies, at most `limit`, then with the status `last` if there are more."""

    def answer(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        keys = event.identifier
        chosen = [
            (uid, date, time)
            for uid, date, time in studies
            if within(date, keys.StudyDate) and within(time, keys.StudyTime)
        ]
        for uid, date, time in chosen[:limit]:
            found = Dataset()
            found.StudyInstanceUID, found.StudyDate, found.StudyTime, found.PatientID = uid, date, time, "P"
            yield 0xFF00, found
        if len(chosen) > limit and last:
            yield last, None

    return answer


def within(value: str, key: str) -> bool:
    if not key:
        return True
    first, _, last = key.partition("-")
    return bool(value) and first <= value <= (last if "-" in key else first or value) + ("~" if not last else "")


@pytest.mark.parametrize("last", [0xA700, 0xB001, 0xFE00])
def test_an_answer_that_is_cut_off_is_asked_for_in_pieces(connect: Callable[..., DimseArchive], last: int) -> None:
    studies = [(f"1.2.{day}.{n}", f"202401{day:02}", f"{n:02}0000") for day in range(1, 6) for n in range(6)]
    with archive(holding(studies, 4, last)) as port:
        found = [study.study_instance_uid for study in connect("SCRIPTED", port).studies()]
    assert sorted(found) == sorted(uid for uid, _, _ in studies)


def test_a_limit_that_nobody_speaks_of_is_found_out(connect: Callable[..., DimseArchive]) -> None:
    studies = [(f"1.2.{n}", f"2024{1 + n % 12:02}01", "120000") for n in range(130)]
    with archive(holding(studies, 50, 0)) as port:
        assert len(list(connect("SCRIPTED", port).studies())) == 130


def test_too_many_at_one_minute_are_not_taken_for_all(connect: Callable[..., DimseArchive]) -> None:
    studies = [(f"1.2.{n}", "20240101", "120000") for n in range(9)]
    with archive(holding(studies, 4, 0xA700)) as port, pytest.raises(ArchiveGarbled, match="too many"):
        list(connect("SCRIPTED", port).studies("20240101", "20240101"))


def test_studies_without_a_date_cannot_hide_behind_a_limit(connect: Callable[..., DimseArchive]) -> None:
    studies = [(f"1.2.{n}", "", "") for n in range(9)]
    with archive(holding(studies, 4, 0xA700)) as port, pytest.raises(ArchiveGarbled, match="without date"):
        list(connect("SCRIPTED", port).studies())


def test_orthanc_with_a_limit_is_listed_whole(
    start_orthanc: Callable[..., Any], connect: Callable[..., DimseArchive], objects: Callable[..., list[Path]]
) -> None:
    orthanc = start_orthanc(LimitFindResults=3, DicomAlwaysAllowFind=True)
    uids = {f"1.2.3.{n}" for n in range(10)}
    for n, uid in enumerate(sorted(uids)):
        how = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "StudyDate": f"2024010{n % 5 + 1}"}
        orthanc.send(objects(1, first=n, StudyTime=f"0{n}0000", **how)[0].read_bytes())
    found = {study.study_instance_uid for study in connect("ORTHANC", orthanc.dicom_port).studies()}
    assert found == uids


def failing(status: int) -> Callable[[Any], Iterator[tuple[int, Dataset | None]]]:
    def answer(_: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield status, None

    return answer


def test_a_failure_is_told_in_the_words_of_the_standard(connect: Callable[..., DimseArchive]) -> None:
    with archive(failing(0xA900)) as port, pytest.raises(ArchiveRefused, match=r"does not match sop class.*A900H"):
        list(connect("SCRIPTED", port).studies())


def test_an_answer_without_uid_is_garbled(connect: Callable[..., DimseArchive]) -> None:
    with archive(holding([("", "20240101", "")], 4, 0)) as port, pytest.raises(ArchiveGarbled, match="without"):
        list(connect("SCRIPTED", port).studies())


def test_an_archive_that_breaks_off_is_unavailable(connect: Callable[..., DimseArchive]) -> None:
    def answer(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        event.assoc.abort()
        yield 0xFE00, None

    with archive(answer) as port, pytest.raises(ArchiveUnavailable, match="broke off"):
        list(connect("SCRIPTED", port).studies())


def test_a_span_is_halved_down_to_the_minute() -> None:
    span, pieces = Span.of("20240101", "20240103"), []
    waiting = [span]
    while waiting:
        halves = waiting.pop().halves()
        pieces.append(halves)
        waiting.extend(halves or ())
    minutes = sum(halves is None for halves in pieces)
    assert minutes == 3 * DAY


def test_spans_are_keys() -> None:
    assert (Span().study_date, Span().study_time) == ("", "")
    assert Span.of("20240101", "").study_date == "20240101-"
    assert Span.of("", "20240101").study_date == "-20240101"
    first, second = Span.of("20240101", "20240101").halves() or (Span(), Span())
    assert (first.study_date, first.study_time, second.study_time) == (
        "20240101",
        "000000-115959",
        "120000-235959",
    )
    with pytest.raises(BadRequest, match="no date"):
        Span.of("2024-13-01", "")
