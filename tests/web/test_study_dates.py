"""Study dates on the pages and over REST: shown, and filtered by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import update

from cbmir.store import jobs
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Instance


def dated(database: Database, archive: Any) -> None:
    """Give the first two images study dates."""
    with database.write() as session:
        for number, day in enumerate((date(2024, 1, 31), date(2025, 2, 3))):
            session.execute(update(Instance).where(Instance.id == archive.instances[number]).values(study_date=day))


def test_the_library_is_filtered_by_study_date(client: FlaskClient, database: Database, archive: Any) -> None:
    assert 'type="date"' not in client.get("/library").text, "there are no dates to filter by"
    client.application.extensions.pop("cbmir-facets")
    dated(database, archive)
    page = client.get("/library?where=&study_from=2024-01-31&study_to=2024-12-31").text
    assert "1 image match" in page
    assert "a.dcm" in page
    assert 'name="study_from" type="date" value="2024-01-31"' in page
    assert 'name="study_to" type="date" value="2024-12-31"' in page
    assert client.get("/library?study_from=soon").status_code == 422
    assert client.get("/library?study_from=2025-01-01&study_to=2024-01-01").status_code == 422
    assert '<dt>Study date</dt><dd class="">2024-01-31' in client.get(f"/library/{archive.instances[0]}").text


def test_a_search_is_filtered_by_study_date(
    client: FlaskClient, database: Database, archive: Any, token: Callable[..., str]
) -> None:
    dated(database, archive)
    form = {"csrf_token": token(), "frame_id": archive.frames[0], "where": "", "study_from": "2024-01-31"}
    assert client.post("/", data={**form, "study_to": ""}).status_code == 303
    with database.read() as session:
        (job,) = jobs.listing(session)
    assert job.parameters["where"] == Where.parse(["study_date>=2024-01-31"]).as_json()
    wrong = client.post("/", data={**form, "study_to": "2023-01-31"})
    assert wrong.status_code == 422
    assert 'value="2023-01-31"' in wrong.text, "what was typed stays in the form"


def test_rest_gives_and_takes_study_dates(client: FlaskClient, database: Database, archive: Any) -> None:
    dated(database, archive)
    found = client.get("/api/v1/images?where=study_date>=2024-02-01").get_json()
    assert [(each["file_name"], each["study_date"]) for each in found["images"]] == [("b.dcm", "2025-02-03")]
    detail = [client.get(f"/api/v1/images/{row}").get_json()["study_date"] for row in archive.instances[1:3]]
    assert detail == ["2025-02-03", None]
