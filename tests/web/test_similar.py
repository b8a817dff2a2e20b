"""Where the archive's own pages lead: a search at once, a choice of series, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import archives, instances, jobs, ledger
from cbmir.store.session import Database
from cbmir.store.tables import now
from cbmir.types import InstanceHeader, JobKind, JobState, NewFrame, ObjectState, RemoteInstance


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here: nobody waits for one."""
    monkeypatch.setattr("cbmir_web.pages.similar.PATIENCE_SECONDS", 0)


@pytest.fixture
def put(database: Database, settings: Settings) -> Callable[..., list[int]]:
    """Puts an object of a series into the index; ids of its frames."""

    def add(uid: str, series: str, study: str = "1.9", frames: int = 1) -> list[int]:
        number = int(uid.replace(".", ""))
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20), np.uint8)
        header = InstanceHeader(
            uid, "1.2.840.10008.5.1.4.1.1.4", study, series, "MR", "HEAD", "1.2.840.10008.1.2.1", ""
        )
        with database.write() as session:
            made = instances.add(
                session, header=header, file_name=uid, origin="", sha256=f"{number:064x}", labels={},
                group_key="p-1",
                frames=[NewFrame(n + 1, Shelf(settings.pictures).put(pixels), 20, 20, "x") for n in range(frames)],
            )  # fmt: skip
            return [frame.id for frame in made.frames]

    return add


def searches(database: Database) -> list[Any]:
    with database.read() as session:
        return jobs.listing(session, kind=JobKind.RETRIEVE)


def list_object(database: Database, state: ObjectState, message: str = "", **archive: Any) -> None:
    """The object 1.5.1 of the series 1.5 of the study 1.4, as an archive lists it."""
    with database.write() as session:
        row = archives.add(
            session, name="pacs", kind="orthanc", address="http://pacs", options={}, sealed_credentials=b""
        )
        if archive:
            archives.change(session, row.id, **archive)
        ledger.take_in(session, row.id, [RemoteInstance("1.5.1", "1.5", "1.4")], lambda _: True)
        (found,) = ledger.pending(session, row.id, 1)
        if state is ObjectState.DELETED:
            ledger.mark_deleted(session, [found.id])
        elif state is ObjectState.PENDING and message:
            ledger.put_off(session, found.id, code="archive-unavailable", message=message)
        else:
            ledger.settle(session, found.id, found.revision, state, message=message)


def test_an_instance_is_searched_with_at_once(client: FlaskClient, database: Database, put: Any) -> None:
    frames = put("1.9.1", "1.9.0", frames=5)
    response = client.get("/similar?instance=1.9.1")
    (job,) = searches(database)
    assert (response.status_code, response.location) == (303, f"/queries/{job.id}")
    assert job.parameters["frame_id"] == frames[2]
    assert (job.parameters["exclude_same_patient"], job.parameters["priors"] > 0) == (True, True)


def test_of_a_series_the_middle_image_asks(client: FlaskClient, database: Database, put: Any) -> None:
    frames = {n: put(f"1.9.{n}", "1.9.0")[0] for n in (10, 2, 1, 9, 11)}
    client.get("/similar?series=1.9.0")
    assert searches(database)[0].parameters["frame_id"] == frames[9]


def test_of_a_study_of_one_series_the_middle_image_asks(client: FlaskClient, database: Database, put: Any) -> None:
    frame = put("1.9.1", "1.9.0")[0]
    assert client.get("/similar?study=1.9").status_code == 303
    assert searches(database)[0].parameters["frame_id"] == frame


def test_of_a_study_of_several_series_one_is_chosen(client: FlaskClient, database: Database, put: Any) -> None:
    put("1.9.1", "1.9.100")
    frames = [put(f"1.9.2{n}", "1.9.20")[0] for n in range(3)]
    page = client.get("/similar?study=1.9").text
    assert searches(database) == []
    assert page.index('href="/similar?series=1.9.20"') < page.index('href="/similar?series=1.9.100"')
    assert f"/frames/{frames[1]}/thumbnail.png" in page
    assert "3 images" in page
    assert client.get("/similar?series=1.9.20").status_code == 303


def test_the_same_question_within_a_minute_is_one_search(
    client: FlaskClient, database: Database, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("1.9.1", "1.9.0")
    put("1.9.2", "1.9.0")
    first = client.get("/similar?instance=1.9.1").location
    assert client.get("/similar?instance=1.9.1").location == first
    assert client.get("/similar?instance=1.9.2").location != first
    with database.write() as session:
        jobs.request_cancel(session, first.removeprefix("/queries/"))
    second = client.get("/similar?instance=1.9.1").location
    assert second != first
    monkeypatch.setattr("cbmir_web.actions.asking.LATELY_SECONDS", -60.0)
    assert client.get("/similar?instance=1.9.1").location != second


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
    ],
)
def test_only_a_visit_starts_a_search(
    client: FlaskClient, database: Database, put: Any, headers: dict[str, str]
) -> None:
    frame = put("1.9.1", "1.9.0")[0]
    page = client.get("/similar?instance=1.9.1", headers=headers)
    assert (page.status_code, searches(database)) == (200, [])
    assert f'name="frame_id" value="{frame}"' in page.text
    assert "csrf_token" in page.text
    client.head("/similar?instance=1.9.1")
    assert searches(database) == []
    visit = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}
    assert client.get("/similar?instance=1.9.1", headers=visit).status_code == 303


def test_while_many_searches_wait_a_visit_starts_none(
    client: FlaskClient, database: Database, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir_web.actions.asking.MOST_WAITING", 2)
    for n in range(1, 4):
        put(f"1.9.{n}", "1.9.0")
    assert [client.get(f"/similar?instance=1.9.{n}").status_code for n in (1, 2, 3)] == [303, 303, 200]
    assert len(searches(database)) == 2
    assert client.get("/similar?instance=1.9.1").status_code == 303  # the search that there is already


@pytest.mark.parametrize(
    ("state", "message", "status", "says"),
    [
        (ObjectState.PENDING, "", 200, "will be searchable in a moment"),
        (ObjectState.PENDING, "It was cut off.", 200, "It was cut off."),
        (ObjectState.SET_ASIDE, "1.5.1 is cut short.", 404, "1.5.1 is cut short."),
        (ObjectState.SKIPPED, "", 404, "The rules of the archive pacs"),
        (ObjectState.SKIPPED, "1.5.1 has no pixels.", 404, "1.5.1 has no pixels."),
        (ObjectState.DELETED, "", 404, "was deleted"),
        (ObjectState.HELD, "", 404, "cbmir archive verify pacs"),
    ],
)
def test_what_is_not_in_the_index_is_explained(
    client: FlaskClient, database: Database, state: ObjectState, message: str, status: int, says: str
) -> None:
    list_object(database, state, message)
    for query in ("instance=1.5.1", "series=1.5", "study=1.4"):
        page = client.get(f"/similar?{query}")
        assert page.status_code == status
        assert says in page.text
        assert ('http-equiv="refresh"' in page.text) is (state is ObjectState.PENDING)
    assert searches(database) == []


REPORT, IMAGE = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.4"


@pytest.mark.parametrize(
    ("classes", "query", "says"),
    [
        ([REPORT], "instance=1.5.1", "This object has no picture"),
        ([REPORT], "study=1.4", "This study has no picture"),
        ([IMAGE, REPORT], "study=1.4", "The rules of the archive pacs"),
        (["", REPORT], "study=1.4", "The rules of the archive pacs"),
    ],
)
def test_of_a_report_no_rule_is_blamed(
    client: FlaskClient, database: Database, classes: list[str], query: str, says: str
) -> None:
    listed = [RemoteInstance(f"1.5.{n}", "1.5", "1.4", sop_class) for n, sop_class in enumerate(classes, 1)]
    with database.write() as session:
        row = archives.add(
            session, name="pacs", kind="orthanc", address="http://pacs", options={}, sealed_credentials=b""
        )
        ledger.take_in(session, row.id, listed, lambda _: False)
    page = client.get(f"/similar?{query}")
    assert page.status_code == 404
    assert says in page.text


def test_an_archive_that_is_paused_or_silent_fetches_nothing(client: FlaskClient, database: Database) -> None:
    list_object(database, ObjectState.PENDING, connected=False, checked_at=now())
    assert "The archive does not answer now." in client.get("/similar?instance=1.5.1").text
    with database.write() as session:
        archives.change(session, archives.get(session, "pacs").id, paused=True)
    assert "The archive is paused" in client.get("/similar?instance=1.5.1").text


def test_an_object_on_its_way_is_searched_with_when_it_is_there(
    client: FlaskClient, database: Database, put: Any
) -> None:
    list_object(database, ObjectState.PENDING)
    before = client.get("/similar/live?instance=1.5.1").text
    assert 'data-key="pending"' in before
    assert "data-live" in client.get("/similar?instance=1.5.1").text
    put("1.5.1", "1.5", "1.4")
    after = client.get("/similar/live?instance=1.5.1").text
    assert 'data-key="ready"' in after
    assert 'data-every=""' in after
    assert client.get("/similar?instance=1.5.1").status_code == 303


def test_a_uid_that_nobody_knows(client: FlaskClient) -> None:
    for name, what in (("instance", "image"), ("series", "series"), ("study", "study")):
        page = client.get(f"/similar?{name}=1.2.3")
        assert page.status_code == 404
        assert f"This {what} is not known here" in page.text


NO_UIDS = (
    "",
    "instance=",
    "instance=1.2&series=1.2",
    "instance=abc",
    "instance=1.2%0A",
    "instance=1..2",
    "study=" + "1." * 32 + "11",
    "series=1.2'--",
    "instance=<script>",
)


def test_what_is_no_uid_is_refused(client: FlaskClient) -> None:
    for query in NO_UIDS:
        page = client.get(f"/similar?{query}")
        assert page.status_code == 422, query
        assert "<script>" not in page.text
        assert client.get(f"/similar/live?{query}").status_code == 422


def test_a_search_that_failed_is_asked_again(client: FlaskClient, database: Database, put: Any) -> None:
    put("1.9.1", "1.9.0")
    first = client.get("/similar?instance=1.9.1").location.removeprefix("/queries/")
    with database.write() as session:
        jobs.claim(session, first)
        jobs.fail(session, first, "empty-gallery", "Nothing to search in.")
    assert client.get("/similar?instance=1.9.1").location != f"/queries/{first}"
    assert {job.state for job in searches(database)} == {JobState.FAILED, JobState.QUEUED}
