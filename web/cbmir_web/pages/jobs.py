"""What takes time: all jobs, and one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cbmir.store import jobs as rows
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_web.installation import installation
from cbmir_web.pages import paging
from cbmir_web.pages.blueprint import blueprint
from cbmir_workers import client

ON_A_PAGE = 50

WITH_A_PAGE = {JobKind.RETRIEVE: "pages.answer", JobKind.EXPLAIN: "pages.explanation"}
"""Jobs that are watched on a page of their own."""


@blueprint.get("/jobs")
def jobs() -> str:
    """The jobs, the latest first; `?state=` keeps one state, `?page=` goes back."""
    return render_template("jobs.html", **_listed())


@blueprint.get("/jobs/live")
def jobs_live() -> str:
    """The part of the page that changes."""
    return render_template("jobs_live.html", **_listed())


@blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> str:
    """One job."""
    return render_template("job.html", job=_one(job_id))


@blueprint.get("/jobs/<job_id>/live")
def job_live(job_id: str) -> str:
    """The part of the page that changes while the job runs."""
    return render_template("job_live.html", job=_one(job_id))


@blueprint.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    """Ask the job to stop."""
    return _back(client.cancel(installation().database, job_id))


@blueprint.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> Response:
    """Queue a failed or cancelled job again."""
    here = installation()
    job = client.retry(here.database, here.broker, job_id)
    return _shown(job) if job.kind in WITH_A_PAGE else _back(job)


def _one(job_id: str) -> Any:
    with installation().database.read() as session:
        return rows.get(session, job_id)


def _listed() -> dict[str, Any]:
    state = _chosen(JobState, request.args.get("state"))
    with installation().database.read() as session:
        counts = rows.counts(session)
        total = counts[state] if state else sum(counts.values())
        last = paging.last(total, ON_A_PAGE)
        page = min(paging.asked(), last)
        found = rows.listing(session, state=state, limit=ON_A_PAGE, offset=(page - 1) * ON_A_PAGE)
    return {"jobs": found, "state": state, "counts": counts, "page": page, "last": last}


def _chosen(kind: type[JobState], text: str | None) -> JobState | None:
    return kind(text) if text in set(kind) else None


def _back(job: Job) -> Response:
    listed = request.form.get("from") == "jobs"
    return redirect(url_for("pages.jobs"), HTTPStatus.SEE_OTHER) if listed else _shown(job)


def _shown(job: Job) -> Response:
    page = WITH_A_PAGE.get(JobKind(job.kind), "pages.job")
    return redirect(url_for(page, job_id=job.id), HTTPStatus.SEE_OTHER)
