"""The images of the archive and their pictures."""

from __future__ import annotations

from typing import Any

from flask import Response

from cbmir.services.retrieval import library
from cbmir.store.filters import Where
from cbmir.store.tables import Instance
from cbmir_web import pictures
from cbmir_web.actions import deleting, labelling
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.image_schemas import (
    DeletedSchema,
    DeletionSchema,
    ImageDetailSchema,
    ImagesSchema,
    LabellingSchema,
)
from cbmir_web.api.schemas import ErrorSchema, ImagesPageSchema, ThumbnailSchema
from cbmir_web.installation import installation

blueprint = Blueprint("images", __name__, description="What the archive holds.")

PNG = {"content_type": "image/png", "schema": {"type": "string", "format": "binary"}}


@blueprint.route("/images")
@blueprint.arguments(ImagesPageSchema, location="query")
@blueprint.response(200, ImagesSchema)
def browse(page: dict[str, Any]) -> library.Shelfful:
    """The images that match, in an order of choice."""
    where = Where.parse(page.pop("where", []))
    with installation().database.read() as session:
        return library.browse(session, where, **page)


@blueprint.route("/images/<int:instance_id>")
@blueprint.response(200, ImageDetailSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def one(instance_id: int) -> Instance:
    """One image: its UIDs, labels with their origin, and frames."""
    with installation().database.read() as session:
        return library.instance(session, instance_id)


@blueprint.route("/images/<int:instance_id>", methods=["PATCH"])
@blueprint.arguments(LabellingSchema)
@blueprint.response(200, ImageDetailSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(422, schema=ErrorSchema, description="A name or a value is empty or too long.")
def label(asked: dict[str, Any], instance_id: int) -> Instance:
    """Give labels by hand, which hold against header and manifest, or take them away; others stay as they are."""
    return labelling.label(installation(), instance_id, asked["labels"])


@blueprint.route("/images/<int:instance_id>", methods=["DELETE"])
@blueprint.arguments(DeletionSchema, location="query")
@blueprint.response(200, DeletedSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(422, schema=ErrorSchema, description="An archive that is followed holds it.")
def delete(asked: dict[str, str], instance_id: int) -> dict[str, int]:
    """Delete an image with all that shows it; `of` says whether its whole study or patient goes, too."""
    return {"deleted": deleting.delete(installation(), instance_id, asked["of"])}


@blueprint.route("/frames/<int:frame_id>/picture.png")
@blueprint.response(200, **PNG)
@blueprint.alt_response(404, schema=ErrorSchema)
def picture(frame_id: int) -> Response:
    """A frame as the encoder sees it: 8 bits, longer side at most 512 pixels."""
    return pictures.of_frame(frame_id)


@blueprint.route("/frames/<int:frame_id>/thumbnail.png")
@blueprint.arguments(ThumbnailSchema, location="query")
@blueprint.response(200, **PNG)
@blueprint.alt_response(404, schema=ErrorSchema)
def thumbnail(request: dict[str, int], frame_id: int) -> Response:
    """A frame, its longer side at most `side` pixels."""
    return pictures.of_frame(frame_id, request["side"])
