"""The first page - an image to search for - and the answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from cbmir.errors import CbmirError
from cbmir.services import library
from cbmir.store import encoders, frames, jobs, queries
from cbmir.store.tables import Job, Query
from cbmir.types import JobKind, JobState
from cbmir_web import asking, errors, waiting
from cbmir_web.api.schemas import QuestionSchema
from cbmir_web.arguments import from_form
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages import filters
from cbmir_web.pages.blueprint import blueprint
from cbmir_web.presenting import terms

PATIENCE_SECONDS = 1.5
"""A search usually takes less: then the answer is the next page that is seen."""

RECENT = 6


@blueprint.get("/")
def search() -> str:
    """The form; `?frame_id=` asks about an image of the archive, with other filters than before."""
    return _form(request.args)


@blueprint.post("/")
def ask() -> Response:
    """Take the form; show the answer, or the page where it will appear."""
    here = installation()
    try:
        job = asking.enqueue(here, asking.Ask(file=_file(), **from_form(QuestionSchema())))
    except CbmirError as error:
        return _refused(errors.problem_of(error))
    waiting.finished(here.database, job.id, PATIENCE_SECONDS)
    return redirect(url_for("pages.answer", job_id=job.id), HTTPStatus.SEE_OTHER)


@blueprint.get("/queries/<job_id>")
def answer(job_id: str) -> str:
    """The answer to a search, or how far it is."""
    return render_template("answer.html", **_asked(job_id))


@blueprint.get("/queries/<job_id>/live")
def answer_live(job_id: str) -> str:
    """The part of the page that changes while the search runs."""
    return render_template("answer_live.html", **_asked(job_id))


def _file() -> Any:
    file = request.files.get("file")
    return file if file and file.filename else None


def _form(given: MultiDict[str, str], problem: Problem | None = None) -> str:
    asked = given.get("frame_id", type=int)
    with installation().database.read() as session:
        recent = queries.recent(session, RECENT)
        known = frames.by_id(session, [number for number in (asked, *(each.frame_id for each in recent)) if number])
        return render_template(
            "search.html",
            problem=problem,
            facets=filters.facets(session),
            encoders=encoders.listing(session),
            statistics=library.statistics(session),
            recent=[(query, jobs.get(session, query.job_id), known.get(query.frame_id or 0)) for query in recent],
            asked=known.get(asked or 0),
            given=given,
        )


def _refused(problem: Problem) -> Response:
    if errors.wants_json():
        return errors.answer(problem)
    return make_response(_form(request.form, problem), problem.status)


def _asked(job_id: str) -> dict[str, Any]:
    """The job and, once there is one, the answer with what is needed to show it."""
    with installation().database.read() as session:
        job = jobs.get(session, job_id)
        if job.kind != JobKind.RETRIEVE or job.state != JobState.SUCCEEDED:
            return {"job": job, "query": None}
        query = queries.get(session, job_id)
        found = frames.by_id(session, [query.frame_id] if query.frame_id else [])
    asked = found.get(query.frame_id or 0)
    return {
        "job": job,
        "query": query,
        "asked": asked,
        "asked_labels": library.labels_of(asked.instance) if asked else {},
        "terms": terms(query.where),
        "longest": max((hit["distance"] for hit in query.hits), default=0) or 1,
        "summary": _summary(query),
        "again": _again(job, query),
    }


def _summary(query: Query) -> list[tuple[str, int]]:
    """How many hits have each subclass (or modality, where they have none), most frequent first."""
    values = [hit["labels"].get("subclass") or hit["labels"].get("modality") or "unlabelled" for hit in query.hits]
    return sorted(((value, values.count(value)) for value in set(values)), key=lambda pair: (-pair[1], pair[0]))


def _again(job: Job, query: Query) -> dict[str, list[str]]:
    """The fields of a form that asks the same of another image."""
    asked = job.parameters
    return {
        "k": [str(query.k)],
        "where": terms(query.where),
        "encoder": [asked["encoder"]] if asked.get("encoder") else [],
        "exclude_same_patient": ["true"] if asked.get("exclude_same_patient") else [],
    }
