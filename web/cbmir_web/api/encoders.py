"""Encoders: list, train, extract, evaluate, switch, free."""

from __future__ import annotations

from typing import Any

from cbmir.services.conversion import outdated
from cbmir.services.encoders.versions import switch
from cbmir.services.encoders.versions.overview import versions
from cbmir.services.retrieval import library
from cbmir_web.actions import encoder_jobs
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
    return accepted(encoder_jobs.free(installation(), encoder_id))


@blueprint.route("/train", methods=["POST"])
@blueprint.arguments(TrainingSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(422, schema=ErrorSchema)
def train(request: dict[str, Any]) -> Accepted:
    """Train an encoder on the archive; features of it are extracted when it is ready."""
    return accepted(encoder_jobs.train(installation(), request))


@blueprint.route("/extract", methods=["POST"])
@blueprint.arguments(ExtractionSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def extract(request: dict[str, Any]) -> Accepted:
    """Extract the features that an encoder (the one in use by default) still lacks."""
    return accepted(encoder_jobs.extract(installation(), request))


@blueprint.route("/evaluate", methods=["POST"])
@blueprint.arguments(EvaluationSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(422, schema=ErrorSchema, description="No image has the label.")
@blueprint.alt_response(404, schema=ErrorSchema)
def evaluate(request: dict[str, Any]) -> Accepted:
    """Measure how well an encoder retrieves at each k, with intervals; `against` another one, if asked."""
    return accepted(encoder_jobs.evaluate(installation(), request))
