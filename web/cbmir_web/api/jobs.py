"""Jobs: list, watch, cancel, retry."""

from __future__ import annotations

from typing import Any

from cbmir.store import jobs
from cbmir_web.actions import waiting
from cbmir_web.api.answers import Accepted, accepted, job_json, jobs_json
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import ErrorSchema, JobSchema, JobsPageSchema, JobsSchema, WaitSchema
from cbmir_web.installation import installation
from cbmir_workers import client

blueprint = Blueprint("jobs", __name__, description="What takes time: watch it, stop it, do it again.")


@blueprint.route("/jobs")
@blueprint.arguments(JobsPageSchema, location="query")
@blueprint.response(200, JobsSchema)
def listing(page: dict[str, Any]) -> dict[str, Any]:
    """The jobs, newest first."""
    with installation().database.read() as session:
        found = jobs.listing(session, state=page.get("state"), limit=page["limit"], offset=page["offset"])
        return {"jobs": jobs_json(session, found)}


@blueprint.route("/jobs/<job_id>")
@blueprint.arguments(WaitSchema, location="query")
@blueprint.response(200, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def one(wait: dict[str, float], job_id: str) -> dict[str, Any]:
    """One job; with `wait`, as soon as it has ended, or as it is after so many seconds."""
    database = installation().database
    job = waiting.finished(database, job_id, wait["wait"])
    with database.read() as session:
        return jobs_json(session, [job])[0]


@blueprint.route("/jobs/<job_id>/cancel", methods=["POST"])
@blueprint.response(200, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def cancel(job_id: str) -> dict[str, Any]:
    """Ask a job to stop: one that waits is cancelled at once, one that runs at its next step."""
    return job_json(client.cancel(installation().database, job_id))


@blueprint.route("/jobs/<job_id>/retry", methods=["POST"])
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(422, schema=ErrorSchema, description="It is neither failed nor cancelled.")
def retry(job_id: str) -> Accepted:
    """Queue a failed or cancelled job again, under its own id."""
    here = installation()
    return accepted(client.retry(here.database, here.broker, job_id))
