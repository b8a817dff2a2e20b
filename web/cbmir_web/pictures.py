"""The pictures themselves: of frames and of queries, by id. No path of a request ever reaches the disk."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from cbmir.store import instances, queries
from cbmir_web.api.schemas import ThumbnailSchema
from cbmir_web.arguments import from_query
from cbmir_web.installation import installation

blueprint = Blueprint("pictures", __name__)


@blueprint.get("/frames/<int:frame_id>")
def frame(frame_id: int) -> BaseResponse:
    """To the page of the image that the frame belongs to."""
    with installation().database.read() as session:
        found = instances.frame(session, frame_id)
    return redirect(url_for("pages.instance", instance_id=found.instance_id, _anchor=f"frame-{found.frame_number}"))


@blueprint.get("/frames/<int:frame_id>/picture.png")
def picture(frame_id: int) -> Response:
    """A frame in full."""
    return of_frame(frame_id)


@blueprint.get("/frames/<int:frame_id>/thumbnail.png")
def thumbnail(frame_id: int) -> Response:
    """A frame made small: `?side=` pixels at most."""
    return of_frame(frame_id, from_query(ThumbnailSchema())["side"])


@blueprint.get("/queries/<job_id>/picture.png")
def query_picture(job_id: str) -> Response:
    """The picture that was asked about."""
    with installation().database.read() as session:
        key = queries.get(session, job_id).picture
    return _png(key)


@blueprint.get("/queries/<job_id>/thumbnail.png")
def query_thumbnail(job_id: str) -> Response:
    """The same, made small: `?side=` pixels at most."""
    with installation().database.read() as session:
        key = queries.get(session, job_id).picture
    return _png(key, from_query(ThumbnailSchema())["side"])


def of_frame(frame_id: int, side: int | None = None) -> Response:
    """A frame's picture as PNG, its longer side at most `side` pixels.

    Raises:
        cbmir.errors.NotFound: if there is no such frame.
    """
    with installation().database.read() as session:
        key = instances.frame(session, frame_id).picture
    return _png(key, side)


def _png(key: str, side: int | None = None) -> Response:
    response = Response(mimetype="image/png")
    response.set_etag(f"{key}-{side or 'full'}")
    # one patient's picture: for this browser, not for a proxy, and not once it is deleted or replaced here
    response.cache_control.private = response.cache_control.no_cache = True
    if request.if_none_match.contains(response.get_etag()[0] or ""):
        return Response(status=304, headers=response.headers)
    response.set_data(installation().shelf.png(key, side))
    return response
