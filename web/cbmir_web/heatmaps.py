"""The pictures of an explanation: heat maps over the query and the hit, and what the encoder keeps of either."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any

import numpy as np
from flask import Blueprint, Response

from cbmir.errors import NotFound
from cbmir.services.retrieval.explaining.drawing import overlay, png, strongest
from cbmir.services.retrieval.explaining.kept import hit_of
from cbmir.store import jobs
from cbmir.types import JobKind
from cbmir_web.installation import installation

blueprint = Blueprint("heatmaps", __name__)

HALVES = ("query", "hit")


@blueprint.get("/explanations/<job_id>/<half>.png")
def heatmap(job_id: str, half: str) -> Response:
    """The query or the hit, with its map over it."""
    result, pictures = _explained(job_id, half)
    drive = {name: np.array(result[name]["map"], np.float32) for name in HALVES}
    pixels = installation().shelf.get(pictures[half])
    return _answer(png(overlay(pixels, drive[half], strongest(*drive.values()))))


@blueprint.get("/explanations/<job_id>/<half>/reconstruction.png")
def reconstruction(job_id: str, half: str) -> Response:
    """What the encoder's decoder draws from the feature of the query or the hit."""
    result, _ = _explained(job_id, half)
    drawn = result[half]["reconstruction"]
    if drawn is None:
        raise NotFound("This encoder draws no picture from its features.")
    return _answer(base64.b64decode(drawn))


def _explained(job_id: str, half: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the job found, and the keys of both pictures; only while both are there."""
    with installation().database.read() as session:
        job = jobs.get(session, job_id)
        if job.kind != JobKind.EXPLAIN or not job.result or half not in HALVES:
            raise NotFound("There is no such explanation.")
        query, frame = hit_of(session, job.parameters["query"], job.parameters["frame_id"])
        return job.result, {"query": query.picture, "hit": frame.picture}


def _answer(content: bytes) -> Response:
    return Response(content, HTTPStatus.OK, mimetype="image/png")
