"""QIDO-RS from servers that list well, badly, or something else altogether."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from cbmir.archive.connection import Connection
from cbmir.archive.dicomweb import DicomWebArchive
from cbmir.errors import ArchiveGarbled, ArchiveUnavailable

Connect = Callable[..., Connection]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbmir.archive.http.paging.PAGE", 4)


def element(*values: Any) -> dict[str, Any]:
    return {"vr": "UN", "Value": list(values)}


def study(number: int) -> dict[str, Any]:
    return {"0020000D": element(f"1.2.{number}"), "00201208": element(number), "00100020": element(f" P{number} ")}


STUDIES = [study(number) for number in range(10)]


def paged(asked: Any, entries: list[Any], cap: int = 100) -> list[Any]:
    query = parse_qs(asked.query)
    offset, limit = int(query["offset"][0]), int(query["limit"][0])
    return entries[offset : offset + min(limit, cap)]


def ignores_nothing(asked: Any) -> Any:
    return 200, paged(asked, STUDIES), {}


def ignores_offset(_: Any) -> Any:
    return 200, STUDIES, {}


def ignores_limit(asked: Any) -> Any:
    return 200, STUDIES[int(parse_qs(asked.query)["offset"][0]) :], {}


def gives_one_at_a_time(asked: Any) -> Any:
    found = paged(asked, STUDIES, cap=1)
    return (200, found, {}) if found else (204, b"", {})


@pytest.mark.parametrize("script", [ignores_nothing, ignores_offset, ignores_limit, gives_one_at_a_time])
def test_every_study_comes_once(serve: Any, connection: Connect, script: Any) -> None:
    server = serve(script)
    found = list(DicomWebArchive(connection(server.url)).studies("20200101"))
    assert [each.study_instance_uid for each in found] == [f"1.2.{number}" for number in range(10)]
    assert [each.instances for each in found] == list(range(10))
    assert found[3].patient_key == "P3\\"
    query = parse_qs(server.asked[0].query)
    assert query["00080020"] == ["20200101-"]
    assert set(query["includefield"]) == {"00100020", "00100021", "00080061", "00201206", "00201208"}


def test_a_list_that_is_cut_off_is_followed_to_its_end(serve: Any, connection: Connect) -> None:
    def script(asked: Any) -> Any:
        found = paged(asked, STUDIES, cap=3)
        more = found[-1] != STUDIES[-1]
        return (206, found, {"Warning": '299 s "There are additional results"'}) if more else (200, found, {})

    assert len(list(DicomWebArchive(connection(serve(script).url)).studies())) == 10


@pytest.mark.parametrize("told", [(206, {}), (200, {"Warning": '299 pacs "more"'})])
def test_a_list_that_can_only_be_had_in_part_does_not_pass_for_whole(
    serve: Any, connection: Connect, told: Any
) -> None:
    status, headers = told
    found = DicomWebArchive(connection(serve(lambda _: (status, STUDIES[:5], headers)).url)).studies()
    with pytest.raises(ArchiveGarbled, match="cuts its list off after 5"):
        list(found)


def test_a_study_is_not_passed_over_when_another_is_deleted_meanwhile(serve: Any, connection: Connect) -> None:
    left = list(STUDIES)

    def script(asked: Any) -> Any:
        found = paged(asked, left)
        del left[:2]  # what was on the page before the next one is asked for
        return 200, found, {}

    found = [each.study_instance_uid for each in DicomWebArchive(connection(serve(script).url)).studies()]
    assert sorted(found) == sorted(set(found))
    assert set(found) >= {"1.2.8", "1.2.9"}


def test_a_list_in_another_order_each_time_does_not_pass_for_whole(serve: Any, connection: Connect) -> None:
    times = iter(range(1000))

    def script(asked: Any) -> Any:
        turn = 5 * next(times) % 11
        return 200, paged(asked, [study(n) for n in range(100)][turn:] + STUDIES[:turn]), {}

    with pytest.raises(ArchiveGarbled, match="another order"):
        list(DicomWebArchive(connection(serve(script).url)).studies())


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        b"[" * 100_000,
        {"error": "none"},
        ["1.2.3"],
        [{"00100020": element("P")}],
        [{"0020000D": "1.2.3"}],
        [{"0020000D": {"Value": "1.2.3"}}],
    ],
    ids=["html", "nested", "object", "strings", "no UID", "no element", "no list"],
)
def test_what_is_no_list_of_studies(serve: Any, connection: Connect, body: Any) -> None:
    server = serve(lambda _: (200, body, {}))
    with pytest.raises(ArchiveGarbled, match="archive pacs") as caught:
        list(DicomWebArchive(connection(server.url)).studies())
    assert caught.value.remedy


def test_half_a_list(serve: Any, connection: Connect) -> None:
    server = serve(lambda _: (200, STUDIES, {"cut": "100"}))
    with pytest.raises(ArchiveUnavailable, match="broke off"):
        list(DicomWebArchive(connection(server.url)).studies())


def test_an_empty_archive_in_every_form(serve: Any, connection: Connect) -> None:
    for answer in ((204, b"", {}), (200, [], {}), (200, b"", {})):
        assert list(DicomWebArchive(connection(serve(lambda _, answer=answer: answer).url)).studies()) == []


def test_the_stamp_follows_the_content_and_tells_no_patient(serve: Any, connection: Connect) -> None:
    def stamp(**changed: Any) -> str:
        entry = study(7) | {"00080061": element("MR", "CT")} | changed
        (found,) = DicomWebArchive(connection(serve(lambda _: (200, [entry], {})).url)).studies()
        return found.stamp

    usual = stamp()
    assert stamp(**{"00080061": element("CT", "MR")}) == usual
    assert stamp(**{"00100020": element("somebody else")}) == usual
    assert stamp(**{"00201208": element(8)}) != usual
    assert stamp(**{"00080061": element("MR", "CT", "SR")}) != usual


SERIES = [
    {"0020000E": element("1.3.1"), "00080060": element("MR"), "00180015": element("head")},
    {"0020000E": element("1.3.2"), "00080060": element("SR")},
]
OBJECTS = [
    {"00080018": element("1.4.1"), "0020000E": element("1.3.1"), "00080016": element("1.2.840.10008.5.1.4.1.1.4")},
    {"00080018": element("1.4.2"), "0020000E": element("1.3.2")},
]


def of_study(asked: Any) -> Any:
    lists = {"/studies/1.2.7/instances": OBJECTS, "/studies/1.2.7/series": SERIES}
    return (200, lists[asked.path], {}) if asked.path in lists else (404, b"", {})


def by_series(asked: Any) -> Any:
    lists = {f"/studies/1.2.7/series/1.3.{n}/instances": [OBJECTS[n - 1]] for n in (1, 2)}
    lists["/studies/1.2.7/series"] = SERIES
    return (200, lists[asked.path], {}) if asked.path in lists else (404, b"", {})


@pytest.mark.parametrize("script", [of_study, by_series])
def test_what_is_not_said_of_an_object_is_known_from_its_series(
    serve: Any, connection: Connect, script: Any
) -> None:
    server = serve(script)
    archive = DicomWebArchive(connection(server.url))
    first, second = archive.instances("1.2.7")
    assert (first.sop_instance_uid, first.series_instance_uid) == ("1.4.1", "1.3.1")
    assert (first.study_instance_uid, first.sop_class_uid) == ("1.2.7", "1.2.840.10008.5.1.4.1.1.4")
    assert (first.modality, first.body_part, second.modality, second.body_part) == ("MR", "HEAD", "SR", "")
    assert list(archive.instances("1.2.8")) == []
