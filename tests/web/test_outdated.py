"""Features of an earlier conversion are never compared in silence: pages and answers say so."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from cbmir.store import jobs, queries
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Feature
from cbmir.types import JobKind

SAYS = "cbmir reconvert"


def age(database: Database, frame_ids: list[int]) -> None:
    with database.write() as session:
        session.execute(update(Feature).where(Feature.frame_id.in_(frame_ids)).values(pipeline="dicom-2d/0"))


def ended(database: Database, kind: JobKind, result: dict[str, Any], archive: Any) -> str:
    """A job that has succeeded."""
    with database.write() as session:
        job = jobs.create(session, kind, {"encoder": archive.encoder, "frame_id": archive.frames[0]})
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, result)
        if kind is JobKind.RETRIEVE:
            queries.save(
                session, job_id=job.id, encoder_id=archive.encoder, picture="0" * 64, frame_id=None, k=5,
                where=Where().as_json(), hits=[],
            )  # fmt: skip
    return job.id


def test_encoders_tell_how_many_of_their_features_are_outdated(
    client: FlaskClient, database: Database, archive: Any
) -> None:
    assert SAYS not in client.get("/encoders").text
    assert client.get("/api/v1/encoders").json["encoders"][0]["outdated"] == 0
    age(database, archive.frames[:2])
    page = client.get("/encoders").text
    assert "2 features</strong> of pictures that are made otherwise today" in page
    assert SAYS in page
    listed = client.get("/api/v1/encoders").json["encoders"][0]
    assert (listed["features"], listed["outdated"]) == (5, 2)


@pytest.mark.parametrize(
    ("outdated", "says"),
    [(1, "1 compared image was made by"), (3, "3 compared images were made by")],
)
def test_an_answer_that_compared_outdated_features_says_so(
    client: FlaskClient, database: Database, archive: Any, outdated: int, says: str
) -> None:
    page = client.get(f"/queries/{ended(database, JobKind.RETRIEVE, {'outdated': outdated}, archive)}").text
    assert says in page
    assert SAYS in page


@pytest.mark.parametrize("result", [{"outdated": 0}, {}])
def test_an_answer_of_today_or_of_an_older_version_says_nothing(
    client: FlaskClient, database: Database, archive: Any, result: dict[str, int]
) -> None:
    assert SAYS not in client.get(f"/queries/{ended(database, JobKind.RETRIEVE, result, archive)}").text


def test_an_extraction_tells_what_is_outdated(client: FlaskClient, database: Database, archive: Any) -> None:
    result = {"extracted": 1, "already": 4, "failed": 0, "outdated": 1}
    page = client.get(f"/jobs/{ended(database, JobKind.EXTRACT, result, archive)}").text
    assert "1 feature is of pictures that are made otherwise today" in page
