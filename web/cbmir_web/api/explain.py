"""POST /explain: why a hit was found."""

from __future__ import annotations

from typing import Any

from cbmir_web.actions import explaining, waiting
from cbmir_web.api.answers import Accepted, accepted
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import ErrorSchema, ExplanationSchema, JobSchema, WaitSchema
from cbmir_web.installation import installation

blueprint = Blueprint("explain", __name__, description="Why a hit was found.")


@blueprint.route("/explain", methods=["POST"])
@blueprint.arguments(WaitSchema, location="query")
@blueprint.arguments(ExplanationSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema, description="There is no such answer, or no such hit in it.")
def explain(wait: dict[str, float], asked: dict[str, Any]) -> Accepted:
    """Say what makes a hit similar to its query.

    The job's `result` has, of both, `map`: 16 rows of 16 numbers, by how much the distance grows when that part of
    the picture is covered, among others that are; `deletion`: whether the map `holds` when what it names is covered
    first; and `reconstruction`, a PNG in base64, what the encoder keeps of it, or null.
    """
    here = installation()
    job = explaining.enqueue(here, asked["query"], asked["frame_id"])
    return accepted(waiting.finished(here.database, job.id, wait["wait"]))
