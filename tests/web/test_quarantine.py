"""The quarantine on its page and in the API: filtered, downloaded, read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from cbmir.store import jobs, quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.api import lists

API = "/api/v1"
NASTY = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", 'a,b"c\nd', "plain.dcm")
Token = Callable[[str], str]


@pytest.fixture
def ids(database: Database) -> list[int]:
    """Two damaged files and a report, set aside; their row ids."""
    with database.write() as session:
        for name, code in (("a.dcm", "broken-file"), ("b.dcm", "broken-file"), ("sr.dcm", "no-pixels")):
            said = {"code": code, "reason": f"{name} cannot be shown.", "remedy": f"See {code}."}
            quarantine.put(session, file_name=name, origin=f"/secret/{name}", sha256=name * 9, **said)
        return quarantine.ids(session)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_download_without_a_database_is_refused_before_it_begins(
    client: FlaskClient, database: Database, kind: str
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE quarantine RENAME TO elsewhere")
    response = client.get(f"{API}/quarantine.{kind}")
    assert (response.status_code, response.json["error"]["code"]) == (503, "schema-outdated")


def only_job(database: Database) -> Job:
    with database.read() as session:
        (job,) = jobs.listing(session)
    return job


def test_the_page_tells_damage_from_what_shows_nothing(client: FlaskClient, ids: list[int]) -> None:
    page = client.get("/quarantine").text
    assert "Damaged or cut short <span>2</span>" in page
    assert "Nothing to show: reports, plans and the like <span>1</span>" in page
    assert "Retry all 3" in page
    assert page.count('name="ids"') == len(ids) + 2, "each file, and both damaged ones together"
    assert page.count(">Retry 2</button>") == 1
    assert page.count("See broken-file.") == 1, "what to do is said once of all that it is said of"
    reports = client.get("/quarantine?code=no-pixels").text
    assert "sr.dcm" in reports
    assert "a.dcm" not in reports
    assert "Retry these 1" in reports
    assert 'href="/api/v1/quarantine.csv?code=no-pixels"' in reports
    assert "/secret" not in page
    for odd in ("code=nonsense", "page=99999999999999999999", "page=0"):
        assert "a.dcm" in client.get(f"/quarantine?{odd}").text


@pytest.mark.parametrize(
    ("fields", "asked", "says"),
    [
        ({"ids": "1"}, {"ids": [1], "code": None}, "1 file of the quarantine"),
        ({"code": "no-pixels"}, {"ids": None, "code": "no-pixels"}, "quarantine: Nothing to show"),
        ({"all": "true"}, {"ids": None, "code": None}, "all of the quarantine"),
    ],
)
@pytest.mark.usefixtures("ids")
def test_a_button_reads_files_again_and_leads_to_the_job(
    client: FlaskClient, database: Database, token: Token, fields: dict[str, str], asked: object, says: str
) -> None:
    response = client.post("/quarantine/retry", data={"csrf_token": token("/quarantine"), **fields})
    job = only_job(database)
    assert (response.status_code, response.location) == (303, f"/jobs/{job.id}")
    assert (job.kind, job.parameters) == (JobKind.INGEST, {"retry": asked})
    page = client.get(f"/jobs/{job.id}").text
    assert says in page
    assert "<h1>Read again</h1>" in page
    assert says in client.get("/jobs").text


@pytest.mark.parametrize(("fields", "status"), [({}, 422), ({"ids": "x"}, 422), ({"ids": "4711"}, 404)])
@pytest.mark.usefixtures("ids")
def test_a_retry_that_makes_no_sense_is_explained_on_the_page(
    client: FlaskClient, database: Database, token: Token, fields: dict[str, str], status: int
) -> None:
    response = client.post("/quarantine/retry", data={"csrf_token": token("/quarantine"), **fields})
    assert response.status_code == status
    assert 'role="alert"' in response.text
    with database.read() as session:
        assert jobs.listing(session) == []


@pytest.mark.usefixtures("ids")
def test_a_retry_without_the_forms_token_is_refused(client: FlaskClient, database: Database) -> None:
    assert client.post("/quarantine/retry", data={"all": "true"}).status_code == 400
    with database.read() as session:
        assert jobs.listing(session) == []


def test_the_job_tells_what_is_no_longer_there(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        job = jobs.create(session, JobKind.INGEST, {"retry": {"ids": [1, 2], "code": None}})
        jobs.claim(session, job.id)
        result = {"ingested": 1, "duplicates": 0, "quarantined": 0, "failed": 0, "gone": 1}
        jobs.succeed(session, job.id, result)
    page = client.get(f"/jobs/{job.id}").text
    assert "<dt>No longer there</dt><dd>1</dd>" in page
    assert "2 files of the quarantine" in page


def test_the_api_filters_counts_and_retries(client: FlaskClient, database: Database, ids: list[int]) -> None:
    listed = client.get(f"{API}/quarantine?code=broken-file&limit=1").json
    assert (listed["total"], len(listed["quarantine"])) == (2, 1)
    assert listed["codes"] == {"broken-file": 2, "no-pixels": 1}
    assert listed["quarantine"][0]["meaning"] == "Damaged or cut short"
    assert client.get(f"{API}/quarantine?code=nonsense").json["total"] == 0
    response = client.post(f"{API}/quarantine/retry", json={"ids": ids[:2]})
    assert response.status_code == 202
    assert only_job(database).parameters == {"retry": {"ids": ids[:2], "code": None}}
    assert response.headers["Location"] == f"{API}/jobs/{response.json['id']}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422), ({"ids": [], "all": False}, 422), ({"ids": [1], "all": True}, 422), ({"ids": ["x"]}, 422),
        ({"ids": [2**40]}, 422), ({"where": "x"}, 422), ({"code": "undecodable"}, 404), ({"ids": [4711]}, 404),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("ids")
def test_a_retry_that_makes_no_sense_is_refused(client: FlaskClient, body: object, status: int) -> None:
    response = client.post(f"{API}/quarantine/retry", json=body)
    assert response.status_code == status
    assert response.json["error"]["reason"]


def test_the_list_is_downloaded_without_paths_and_without_formulas(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists.quarantine.after, "__kwdefaults__", {"code": None, "limit": 2})
    with database.write() as session:
        for number, name in enumerate(NASTY):
            quarantine.put(
                session, file_name=name, origin="/secret", sha256=f"{number}" * 64, code="broken-file", reason="ü"
            )
        quarantine.put(session, file_name="sr", origin="", sha256="9" * 64, code="no-pixels", reason="A report.")
    response = client.get(f"{API}/quarantine.csv?code=broken-file")
    assert response.mimetype == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert [row["file_name"] for row in rows] == [
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "a,b\"c\nd", "plain.dcm",
    ]  # fmt: skip
    assert {row["reason"] for row in rows} == {"ü"}
    told = client.get(f"{API}/quarantine.json").json
    assert [row["file_name"] for row in told] == [*NASTY, "sr"]
    assert told[-1]["meaning"] == "Nothing to show: reports, plans and the like"
    assert "/secret" not in response.text + str(told)


def test_an_empty_list_is_a_list(client: FlaskClient) -> None:
    assert client.get(f"{API}/quarantine.json").json == []
    assert client.get(f"{API}/quarantine.csv").text.count("\n") == 1
