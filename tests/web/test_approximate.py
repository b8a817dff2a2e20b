"""An answer of an approximate index says on its page how much of the truth it finds; an exact one says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.store import jobs, queries
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import JobKind


@pytest.mark.parametrize(
    ("result", "said"),
    [({"recall": 0.9874}, "finds 98.7 % of the true ten nearest"), ({"recall": None}, None), ({}, None)],
)
def test_the_page_of_an_answer_says_how_much_is_found(
    client: FlaskClient, database: Database, archive: Any, result: dict[str, Any], said: str | None
) -> None:
    with database.write() as session:
        job = jobs.create(session, JobKind.RETRIEVE, {"frame_id": archive.frames[0]})
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, result)
        kept = {"encoder_id": archive.encoder, "picture": "0" * 64, "frame_id": None, "k": 5, "hits": []}
        queries.save(session, job_id=job.id, where=Where().as_json(), **kept)
    page = client.get(f"/queries/{job.id}").text
    assert ("The index is approximate" in page) == (said is not None)
    assert said is None or said in page
