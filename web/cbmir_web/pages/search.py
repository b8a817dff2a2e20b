"""The first page - an image to search for - and the answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from cbmir.errors import CbmirError, NotFound
from cbmir.services.retrieval import library
from cbmir.store import encoders, frames, jobs, queries
from cbmir.types import JobKind, JobState
from cbmir_web import errors, wording
from cbmir_web.actions import asking, waiting
from cbmir_web.api.schemas import LARGEST_ID, SearchSchema
from cbmir_web.arguments import from_form
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages import answering, filters, paging
from cbmir_web.pages.blueprint import blueprint

PATIENCE_SECONDS = 1.5
"""A search usually takes less: then the answer is the next page that is seen."""

RECENT = 6
ON_A_PAGE = 100
"""Hits, or studies with what is folded under them: a page of a thousand is slow to draw."""


@blueprint.get("/")
def search() -> str:
    """The form; `?frame_id=` asks about an image of the archive, with other filters than before."""
    return _form(request.args)


@blueprint.post("/")
def ask() -> Response:
    """Take the form; show the answer, or the page where it will appear."""
    here = installation()
    try:
        job = asking.enqueue(here, _question())
    except CbmirError as error:
        return errors.on_page(error, lambda problem: _form(request.form, problem))
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


def _question() -> asking.Ask:
    """As the form asks: without the own patient, unless it says otherwise; that patient's other studies apart."""
    asked = from_form(SearchSchema(), wording=wording.SEARCH)
    file = request.files.get("file")
    own = asked.pop("same_patient")
    asked |= {
        "exclude_same_patient": not own,
        "priors": asking.PRIORS,
        "where": filters.wanted(request.form),
    }
    return asking.Ask(file=file if file and file.filename else None, **asked)


def _form(given: MultiDict[str, str], problem: Problem | None = None) -> str:
    asked = given.get("frame_id", type=int) or 0
    wanted = filters.wanted(given)
    with installation().database.read() as session:
        offered = filters.facets(session)
        recent = queries.recent(session, RECENT)
        numbers = (asked, *(each.frame_id or 0 for each in recent))
        known = frames.by_id(session, [number for number in numbers if 0 < number <= LARGEST_ID])
        return render_template(
            "search.html",
            problem=problem,
            facets=offered,
            encoders=encoders.listing(session),
            statistics=library.statistics(session),
            recent=[(query, jobs.get(session, query.job_id), known.get(query.frame_id or 0)) for query in recent],
            asked=known.get(asked),
            given=given,
            wanted=wanted,
            wording=wording.SEARCH,
            kept=filters.kept(offered, wanted),
        )


def _asked(job_id: str) -> dict[str, Any]:
    """The job and, once there is one, the answer with what is needed to show it."""
    flat = request.args.get("flat") == "true"
    with installation().database.read() as session:
        job = jobs.get(session, job_id)
        if job.kind != JobKind.RETRIEVE:
            raise NotFound("There is no such search.", "See the jobs.")
        if job.state != JobState.SUCCEEDED:
            return {"job": job, "answer": None, "again": answering.again(job)}
        answer = answering.shown(session, job, flat=flat)
    return {
        "job": job,
        "answer": answer,
        "flat": flat,
        "again": answering.again(job),
        **_paged(job_id, answer, flat),
    }


def _paged(job_id: str, answer: answering.Shown, flat: bool) -> dict[str, Any]:
    """The hits of the page that is asked for, and the way to the others."""
    last = paging.last(len(answer.hits), ON_A_PAGE)
    page = min(paging.asked(), last)
    return {
        "page": page,
        "last": last,
        "numbers": paging.numbers(page, last),
        "on_page": answer.hits[(page - 1) * ON_A_PAGE : page * ON_A_PAGE],
        "address": lambda number: url_for(
            "pages.answer", job_id=job_id, flat="true" if flat else None, page=number
        ),
    }
