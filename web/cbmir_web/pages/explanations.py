"""Why a hit was found: the page with both heat maps."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from cbmir.errors import NotFound
from cbmir.services.retrieval.explaining.kept import hit_of
from cbmir.services.retrieval.library import labels_of
from cbmir.store import jobs
from cbmir.types import JobKind, JobState
from cbmir_web.actions import explaining, waiting
from cbmir_web.api.schemas import HitNamedSchema
from cbmir_web.arguments import from_form
from cbmir_web.installation import installation
from cbmir_web.pages.blueprint import blueprint

PATIENCE_SECONDS = 1.5


@blueprint.post("/queries/<job_id>/why")
def explain(job_id: str) -> Response:
    """Ask why a hit was found; show the answer, or the page where it will appear."""
    here = installation()
    job = explaining.enqueue(here, job_id, from_form(HitNamedSchema())["frame_id"])
    waiting.finished(here.database, job.id, PATIENCE_SECONDS)
    return redirect(url_for("pages.explanation", job_id=job.id), HTTPStatus.SEE_OTHER)


@blueprint.get("/explanations/<job_id>")
def explanation(job_id: str) -> str:
    """The explanation, or how far it is."""
    return render_template("explanation.html", **_explained(job_id))


@blueprint.get("/explanations/<job_id>/live")
def explanation_live(job_id: str) -> str:
    """The part of the page that changes while it is made."""
    return render_template("explanation_live.html", **_explained(job_id))


def _explained(job_id: str) -> dict[str, Any]:
    with installation().database.read() as session:
        job = jobs.get(session, job_id)
        if job.kind != JobKind.EXPLAIN:
            raise NotFound("There is no such explanation.", "Ask for one beside a hit.")
        if job.state != JobState.SUCCEEDED:
            return {"job": job, "found": None}
        query, frame = hit_of(session, job.parameters["query"], job.parameters["frame_id"])
        return {"job": job, "found": job.result, "query": query, "hit": frame, "labels": labels_of(frame.instance)}
