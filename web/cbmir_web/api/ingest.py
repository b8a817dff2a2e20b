"""POST /ingest: files into the archive's index."""

from __future__ import annotations

from typing import Any

from cbmir_web.actions import adding
from cbmir_web.api.answers import Accepted, accepted
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import ErrorSchema, JobSchema
from cbmir_web.installation import installation

blueprint = Blueprint("ingest", __name__, description="Add images.")

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


@blueprint.route("/ingest", methods=["POST"])
@blueprint.doc(**BODY)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(413, schema=ErrorSchema)
@blueprint.alt_response(422, schema=ErrorSchema)
def ingest() -> Accepted:
    """Add DICOM objects, pictures (PNG, JPEG, TIFF, BMP) and zip files of them to the archive's index.

    The job's result counts them: `ingested`, `duplicates`, `quarantined`, `failed`.
    """
    return accepted(adding.enqueue(installation()))
