"""Encoders: list, train, extract, evaluate, switch, free."""

from __future__ import annotations

from typing import Any

from cbmir.services.conversion import outdated
from cbmir.services.encoders.versions import switch
from cbmir.services.encoders.versions.free import size
from cbmir.services.encoders.versions.overview import versions
from cbmir.services.evaluation import checks
from cbmir.services.retrieval import library
from cbmir.store import encoders
from cbmir.store.tables import Job
from cbmir.training.request import TrainingRequest
from cbmir.types import JobKind
from cbmir_web.api.answers import Accepted, accepted, encoder_json
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import (
    EncodersSchema,
    ErrorSchema,
    EvaluationSchema,
    ExtractionSchema,
    JobSchema,
    SwitchedSchema,
    SwitchSchema,
    TrainingSchema,
)
from cbmir_web.installation import installation

blueprint = Blueprint("encoders", __name__, description="Networks that turn images into features.")


@blueprint.route("/encoders")
@blueprint.response(200, EncodersSchema)
def listing() -> dict[str, Any]:
    """The encoders, the one in use first, each with its state and the number of its features."""
    here = installation()
    with here.database.read() as session:
        counts = library.statistics(session)
        found = versions(session, counts)
        old = {each.encoder.id: outdated.count(session, each.encoder.id, here.settings) for each in found}
    return {
        "encoders": [encoder_json(each, old[each.encoder.id]) for each in found],
        "frames": counts.frames,
    }


@blueprint.route("/encoders/<encoder_id>/activate", methods=["POST"])
@blueprint.arguments(SwitchSchema, location="json", required=False)
@blueprint.response(200, SwitchedSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(409, schema=ErrorSchema, description="Its features were freed, or are not complete.")
def activate(request: dict[str, Any], encoder_id: str) -> switch.Switched:
    """Let this encoder answer every query from now on."""
    return switch.activate(installation().database, encoder_id, incomplete=request["incomplete"])


@blueprint.route("/encoders/back", methods=["POST"])
@blueprint.arguments(SwitchSchema, location="json", required=False)
@blueprint.response(200, SwitchedSchema)
@blueprint.alt_response(404, schema=ErrorSchema, description="No other has answered before.")
@blueprint.alt_response(409, schema=ErrorSchema, description="Its features were freed, or are not complete.")
def back(request: dict[str, Any]) -> switch.Switched:
    """Let the encoder answer again that did before; once more, and it is undone."""
    return switch.back(installation().database, incomplete=request["incomplete"])


@blueprint.route("/encoders/<encoder_id>/free", methods=["POST"])
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(409, schema=ErrorSchema, description="It is in use.")
def free(encoder_id: str) -> Accepted:
    """Delete the features of an encoder that is not in use; its weights and evaluations stay."""
    return accepted(start_freeing(encoder_id))


@blueprint.route("/train", methods=["POST"])
@blueprint.arguments(TrainingSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(422, schema=ErrorSchema)
def train(request: dict[str, Any]) -> Accepted:
    """Train an encoder on the archive; features of it are extracted when it is ready."""
    return accepted(installation().enqueue(JobKind.TRAIN, training(request)))


def training(request: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a training's job.

    Raises:
        cbmir.errors.BadRequest: if a value is out of its range.
    """
    return TrainingRequest.usual(**request).as_json()


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
@blueprint.alt_response(422, schema=ErrorSchema, description="No image has the label.")
@blueprint.alt_response(404, schema=ErrorSchema)
def evaluate(request: dict[str, Any]) -> Accepted:
    """Measure how well an encoder retrieves at each k, with intervals; `against` another one, if asked."""
    return accepted(installation().enqueue(JobKind.EVALUATE, evaluation(request)))


def evaluation(asked: dict[str, Any]) -> dict[str, Any]:
    """What an evaluation's job is told: encoders that exist, and a label that images have.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.BadRequest: if no image has the label, or an encoder is compared with itself.
    """
    encoder, against = known(asked["encoder"]), known(asked["against"]) if asked["against"] else None
    with installation().database.read() as session:
        checks.check(session, asked["label"], asked["by"], encoder, against)
    return {**asked, "encoder": encoder, "against": against}


def known(encoder_id: str | None) -> str:
    """The id of the encoder meant: the one in use where none is named.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with installation().database.read() as session:
        return encoders.resolve(session, encoder_id).id


def start_freeing(encoder_id: str) -> Job:
    """The job that frees an encoder's features.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderNotReady: if it is in use.
    """
    here = installation()
    with here.database.read() as session:
        size(session, encoder_id)
    return here.enqueue(JobKind.FREE, {"encoder": encoder_id})
