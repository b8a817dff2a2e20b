"""Encoders: what there is, how good it is, and the forms that train, extract and evaluate."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cbmir.encoders import shipped
from cbmir.errors import CbmirError
from cbmir.services.conversion import outdated
from cbmir.services.encoders.versions import switch
from cbmir.services.encoders.versions.overview import versions
from cbmir.services.retrieval import library
from cbmir.store import jobs
from cbmir.store.tables import Encoder
from cbmir.types import JobKind, JobState
from cbmir_web import errors
from cbmir_web.actions import encoder_jobs
from cbmir_web.api.schemas import EvaluationSchema, ExtractionSchema, SwitchSchema, TrainingSchema
from cbmir_web.arguments import from_form
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages import filters
from cbmir_web.pages.blueprint import blueprint

BY_LABELS = "efficientnet-lite0"
"""The architecture that is trained by labels."""
WATCHED = {JobKind.TRAIN, JobKind.EXTRACT, JobKind.EVALUATE, JobKind.FREE}


@blueprint.get("/encoders")
def encoders() -> str:
    """The encoders, the work on them that is going on, and the form to train another."""
    return _page()


@blueprint.get("/encoders/live")
def encoders_live() -> str:
    """The part of the page that changes while something runs."""
    return render_template("encoders_live.html", work=_work())


@blueprint.post("/encoders/train")
def train() -> Response:
    """Start a training."""
    return _done(lambda: encoder_jobs.train(installation(), from_form(TrainingSchema())))


@blueprint.post("/encoders/extract")
def extract() -> Response:
    """Start to extract what an encoder lacks."""
    return _done(lambda: encoder_jobs.extract(installation(), from_form(ExtractionSchema())))


@blueprint.post("/encoders/evaluate")
def evaluate() -> Response:
    """Start an evaluation."""
    return _done(lambda: encoder_jobs.evaluate(installation(), from_form(EvaluationSchema())))


@blueprint.post("/encoders/<encoder_id>/activate")
def activate(encoder_id: str) -> Response:
    """Let this encoder answer."""
    asked = from_form(SwitchSchema())
    return _done(lambda: switch.activate(installation().database, encoder_id, incomplete=asked["incomplete"]))


@blueprint.post("/encoders/back")
def back() -> Response:
    """Let the encoder answer again that did before."""
    asked = from_form(SwitchSchema())
    return _done(lambda: switch.back(installation().database, incomplete=asked["incomplete"]))


@blueprint.post("/encoders/<encoder_id>/free")
def free(encoder_id: str) -> Response:
    """Start to free an encoder's features."""
    return _done(lambda: encoder_jobs.free(installation(), encoder_id))


def _done(action: Callable[[], object]) -> Response:
    """The page anew; with what is wrong, if it is."""
    try:
        action()
    except CbmirError as error:
        return errors.on_page(error, _page)
    return redirect(url_for("pages.encoders"), HTTPStatus.SEE_OTHER)


def _page(problem: Problem | None = None) -> str:
    here = installation()
    with here.database.read() as session:
        counts = library.statistics(session)
        found = versions(session, counts)
        old = {each.encoder.id: outdated.count(session, each.encoder.id, here.settings) for each in found}
        offered = filters.facets(session)
    return render_template(
        "encoders.html", versions=found, counts=counts, label_names=sorted(offered.labels), by_names=offered.names,
        work=_work(), problem=problem, outdated=old, given=request.form,
        starts=_starts([each.encoder for each in found]),
    )  # fmt: skip


def _starts(encoders: list[Encoder]) -> list[str]:
    """Those trained here that a training by labels can go on from: it is of grey pictures."""
    mine = (each for each in encoders if each.architecture == BY_LABELS and each.preprocessing.get("channels") == 1)
    own = (each for each in mine if each.weights_file)
    return [each.id for each in own if each.weights_file != shipped.name()]


def _work() -> list[Any]:
    """The trainings, extractions, evaluations and the freeing that wait or run, oldest first."""
    with installation().database.read() as session:
        open_jobs = [
            *jobs.listing(session, state=JobState.RUNNING),
            *jobs.listing(session, state=JobState.QUEUED),
        ]
    return sorted((job for job in open_jobs if job.kind in WATCHED), key=lambda job: job.created_at)
