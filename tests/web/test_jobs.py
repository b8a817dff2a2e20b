"""The list of jobs, page by page."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.types import JobKind


def test_the_jobs_go_back_page_by_page(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir_web.pages.jobs.ON_A_PAGE", 2)
    with database.write() as session:
        made = [jobs.create(session, JobKind.EXTRACT, {"encoder": f"encoder-{number}"}) for number in range(5)]
        jobs.cancelled(session, made[0].id)
    first, last = client.get("/jobs").text, client.get("/jobs?page=3").text
    assert "encoder-4" in first
    assert "encoder-0" not in first
    assert 'rel="next" href="/jobs?page=2"' in first
    assert 'rel="prev"' not in first
    assert "encoder-0" in last
    assert 'rel="next"' not in last
    assert 'data-live="/jobs/live?page=3"' in last
    assert "encoder-0" in client.get("/jobs/live?page=3").text
    assert "encoder-0" in client.get("/jobs?page=99").text
    assert 'href="/jobs?page=2&amp;state=queued"' in client.get("/jobs?state=queued").text
    assert 'rel="next"' not in client.get("/jobs?state=cancelled").text


def test_the_pages_of_a_list_are_told_from_the_menu(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        for _ in range(51):
            jobs.create(session, JobKind.EXTRACT, {})
    names = re.findall(r'<nav[^>]* aria-label="([^"]+)"', client.get("/jobs").text)
    assert len(names) == len(set(names)) == 3


@pytest.mark.parametrize(("kind", "told"), [("ingest", True), ("extract", True), ("evaluate", False)])
def test_of_a_job_that_is_stopped_in_the_middle_the_page_says_what_stays(
    client: FlaskClient, database: Database, kind: str, told: bool
) -> None:
    with database.write() as session:
        job = jobs.create(session, JobKind(kind), {"files": {}, "encoder": None})
        jobs.claim(session, job.id)
        jobs.report(session, job.id, done=1200, total=3000, message="")
        jobs.cancelled(session, job.id)
    page = client.get(f"/jobs/{job.id}").text
    assert ("It ended at about 1,200 of 3,000. What was done stays; Retry does the rest." in page) is told
