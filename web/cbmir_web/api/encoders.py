"""Encoders: list, train, extract, evaluate."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint

from cbmir.services import library, outdated
from cbmir.store import encoders
from cbmir.types import JobKind
from cbmir_web.api.answers import Accepted, accepted, encoder_json
from cbmir_web.api.schemas import (
    EncodersSchema,
    ErrorSchema,
    EvaluationSchema,
    ExtractionSchema,
    JobSchema,
    TrainingSchema,
)
from cbmir_web.installation import installation

blueprint = Blueprint("encoders", __name__, description="Networks that turn images into features.")


@blueprint.route("/encoders")
@blueprint.response(200, EncodersSchema)
def listing() -> dict[str, Any]:
    """The trained encoders, newest first, each with the number of its features."""
    here = installation()
    with here.database.read() as session:
        found, counts = encoders.listing(session), library.statistics(session)
        old = {encoder.id: outdated.count(session, encoder.id, here.settings) for encoder in found}
    features = counts.features
    return {
        "encoders": [encoder_json(each, features.get(each.id, 0), old[each.id]) for each in found],
        "frames": counts.frames,
    }


@blueprint.route("/train", methods=["POST"])
@blueprint.arguments(TrainingSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(422, schema=ErrorSchema)
def train(request: dict[str, Any]) -> Accepted:
    """Train an encoder on the archive; features of it are extracted when it is ready."""
    return accepted(installation().enqueue(JobKind.TRAIN, request))


@blueprint.route("/extract", methods=["POST"])
@blueprint.arguments(ExtractionSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def extract(request: dict[str, Any]) -> Accepted:
    """Extract the features that an encoder (the one in use by default) still lacks."""
    return accepted(installation().enqueue(JobKind.EXTRACT, {"encoder": known(request["encoder"])}))


@blueprint.route("/evaluate", methods=["POST"])
@blueprint.arguments(EvaluationSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def evaluate(request: dict[str, Any]) -> Accepted:
    """Measure how well an encoder retrieves at each k, with intervals; `against` another one, if asked."""
    return accepted(installation().enqueue(JobKind.EVALUATE, evaluation(request)))


def evaluation(asked: dict[str, Any]) -> dict[str, Any]:
    """What an evaluation's job is told: encoders that exist.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
    """
    against = known(asked["against"]) if asked["against"] else None
    return {**asked, "encoder": known(asked["encoder"]), "against": against}


def known(encoder_id: str | None) -> str:
    """The id of the encoder meant: the one in use where none is named.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with installation().database.read() as session:
        return encoders.resolve(session, encoder_id).id
