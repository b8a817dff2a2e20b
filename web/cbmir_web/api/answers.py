"""Rows of the database as the API gives them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import url_for
from sqlalchemy.orm import Session

from cbmir.services.archives.links import with_viewers
from cbmir.services.encoders.versions.overview import Version
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.errors import problem_of_job

Accepted = tuple[dict[str, Any], HTTPStatus, dict[str, str]]


def job_json(job: Job) -> dict[str, Any]:
    """A job, without its parameters: they name folders of this installation."""
    names = ("id", "kind", "state", "done", "total", "message", "detail", "result", "attempts", "cancel_requested")
    error = problem_of_job(job).as_json()["error"] if job.error_code else None
    times = {name: getattr(job, name) for name in ("created_at", "started_at", "finished_at")}
    return {**{name: getattr(job, name) for name in names}, **times, "error": error}


def jobs_json(session: Session, found: Sequence[Job]) -> list[dict[str, Any]]:
    """Jobs with their results, the hits of answers with links into viewers as they are today."""
    answered = [job for job in found if job.kind == JobKind.RETRIEVE and job.result]
    linked = with_viewers(session, [job.result or {} for job in answered])
    results = {job.id: result for job, result in zip(answered, linked, strict=True)}
    return [{**job_json(job), "result": results.get(job.id, job.result)} for job in found]


def accepted(job: Job) -> Accepted:
    """202 with the job and where to ask for it; 200 for one that has ended already."""
    status = HTTPStatus.OK if job.is_final else HTTPStatus.ACCEPTED
    return job_json(job), status, {"Location": url_for("jobs.one", job_id=job.id)}


def encoder_json(version: Version, outdated: int) -> dict[str, Any]:
    """An encoder, what it can do now, and how many of its features are outdated."""
    encoder = version.encoder
    names = (
        "id",
        "architecture",
        "weights_sha256",
        "dimension",
        "preprocessing",
        "training",
        "metrics",
        "created_at",
    )
    state = {name: getattr(version, name) for name in ("features", "missing", "bytes", "is_previous")}
    return {
        **{name: getattr(encoder, name) for name in names},
        **state,
        "state": version.state.value,
        "outdated": outdated,
    }
