"""Where the archive's own pages lead: one click on an instance, a series or a study there starts a search here.

A GET starts it. That changes no more than the list of searches, about an image that is in the index; and it is kept
from being a lever for pages of other sites: only a browser that goes to this address does it, not one that loads it
as a picture, in a frame or ahead of time; the same question within a minute is one search; and while many searches
wait, none is started but by a button, whose form has a token.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import make_response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from cbmir.errors import BadRequest
from cbmir.services.retrieval import series
from cbmir.services.retrieval.series import SeriesCard
from cbmir.store.listed import Level
from cbmir.types import ObjectState
from cbmir_web.actions import asking, waiting
from cbmir_web.api.schemas import SimilarSchema
from cbmir_web.arguments import from_query
from cbmir_web.installation import installation
from cbmir_web.pages import whereabouts
from cbmir_web.pages.blueprint import blueprint
from cbmir_web.pages.search import PATIENCE_SECONDS

FINDERS: dict[Level, Callable[[Session, str], list[SeriesCard]]] = {
    Level.INSTANCE: series.of_instance,
    Level.SERIES: series.of_series,
    Level.STUDY: series.of_study,
}


@blueprint.get("/similar")
def similar() -> Response:
    """`?instance=`, `?series=` or `?study=` UID: the answer, or a choice of series, or why there is none."""
    level, uid = _named()
    with installation().database.read() as session:
        found = FINDERS[level](session, uid)
        if not found:
            return _absent(session, level, uid)
    if len(found) > 1:
        return make_response(render_template("similar.html", series=found))
    return _search(found[0].frame_id)


@blueprint.get("/similar/live")
def similar_live() -> str:
    """The part of the page that changes while an object is being fetched."""
    level, uid = _named()
    with installation().database.read() as session:
        ready = bool(FINDERS[level](session, uid))
        return render_template("similar_live.html", ready=ready, where=whereabouts.of(session, level, uid))


def _named() -> tuple[Level, str]:
    given = [(Level(name), uid) for name, uid in from_query(SimilarSchema()).items()]
    if len(given) != 1:
        raise BadRequest("It is not said what to search for.", "Give one of: instance, series, study.")
    return given[0]


def _search(frame_id: int) -> Response:
    here = installation()
    ask = asking.Ask(frame_id=frame_id, exclude_same_patient=True, priors=asking.PRIORS)
    job = asking.asked_lately(here, ask)
    if job is None and not (_is_visit() and asking.has_room(here)):
        return make_response(render_template("similar.html", series=[], frame_id=frame_id))
    job = job or asking.enqueue(here, ask)
    waiting.finished(here.database, job.id, PATIENCE_SECONDS)
    return redirect(url_for("pages.answer", job_id=job.id), HTTPStatus.SEE_OTHER)


def _is_visit() -> bool:
    """Whether somebody goes to this address, as far as the browser says (Fetch Metadata Request Headers)."""
    told = request.headers
    ahead = "prefetch" in told.get("Sec-Purpose", told.get("Purpose", ""))
    going = told.get("Sec-Fetch-Mode", "navigate") == "navigate"
    whole = told.get("Sec-Fetch-Dest", "document") == "document"
    return request.method == "GET" and going and whole and not ahead


def _absent(session: Session, level: Level, uid: str) -> Response:
    where = whereabouts.of(session, level, uid)
    status = HTTPStatus.OK if where.state is ObjectState.PENDING else HTTPStatus.NOT_FOUND
    return make_response(render_template("similar_absent.html", where=where, ready=False), status)
