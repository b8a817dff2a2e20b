"""The archive to browse, and one image of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cbmir.errors import BadRequest, CbmirError
from cbmir.services.archives.links import places
from cbmir.services.ingestion import removal
from cbmir.services.retrieval import library as archive
from cbmir.store.filters import Where
from cbmir.words import counted
from cbmir_web import conversion, errors
from cbmir_web.actions import deleting, labelling
from cbmir_web.api.image_schemas import DeletionSchema
from cbmir_web.arguments import from_form
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages import filters, paging
from cbmir_web.pages.blueprint import blueprint

ON_A_PAGE = 48


@blueprint.get("/library")
def library() -> Response:
    """One page of the images that match the filters; none, and why, where the filters make no sense."""
    try:
        return make_response(_listed())
    except BadRequest as error:
        return errors.on_page(error, _listed)


def _listed(problem: Problem | None = None) -> str:
    wanted = filters.wanted(request.args)
    text = request.args.get("text", "").strip()
    sort = request.args.get("sort", archive.Sort.ADDED, type=archive.Sort)
    page = paging.asked()
    with installation().database.read() as session:
        offered = filters.facets(session)
        found = archive.Shelfful([], 0)
        if problem is None:
            found = archive.browse(
                session, Where.parse(wanted), text=text, sort=sort, limit=ON_A_PAGE, offset=(page - 1) * ON_A_PAGE
            )
    pages = paging.last(found.total, ON_A_PAGE)
    return render_template(
        "library.html", found=found, facets=offered, wanted=wanted, text=text, sort=sort, page=page,
        last=pages, numbers=paging.numbers(page, pages), address=_address(wanted, text, sort),
        kept=filters.kept(offered, wanted), problem=problem,
    )  # fmt: skip


@blueprint.get("/library/<int:instance_id>")
def instance(instance_id: int) -> str:
    """One image: its frames, what its header says, its labels."""
    return _shown(instance_id)


@blueprint.post("/library/<int:instance_id>/label")
def label(instance_id: int) -> Response:
    """Give the image a label by hand, or take one away."""
    name, value = (request.form.get(field, "") for field in ("name", "value"))
    try:
        labelling.label(installation(), instance_id, {name: value})
    except CbmirError as error:
        return errors.on_page(error, lambda problem: _shown(instance_id, problem))
    return redirect(url_for("pages.instance", instance_id=instance_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/library/<int:instance_id>/delete")
def delete(instance_id: int) -> Response:
    """Delete an image, or all of its study or patient."""
    try:
        deleted = _delete(instance_id)
    except CbmirError as error:
        return errors.on_page(error, lambda problem: _shown(instance_id, problem))
    flash(f"{counted(deleted, 'image is', 'images are')} deleted.")
    return redirect(url_for("pages.library"), HTTPStatus.SEE_OTHER)


def _delete(instance_id: int) -> int:
    asked = from_form(DeletionSchema())
    if request.form.get("sure") != "true":
        raise BadRequest("Nothing is deleted: that was not confirmed.", "Tick the box.")
    return deleting.delete(installation(), instance_id, asked["of"])


def _shown(instance_id: int, problem: Problem | None = None) -> str:
    here = installation()
    with here.database.read() as session:
        found = archive.instance(session, instance_id)
        held = places(session, found.sop_instance_uid) if found.sop_instance_uid else []
        extents = removal.extents(session, found)
        offered = filters.facets(session).labels
    return render_template(
        "instance.html",
        instance=found,
        problem=problem,
        extents=extents,
        offered=offered,
        made=conversion.made(found, here.settings),
        syntax=conversion.syntax_name(found.transfer_syntax_uid),
        given_away=conversion.given_away(found),
        places=held,
    )


def _address(wanted: list[str], text: str, sort: archive.Sort) -> Any:
    said: dict[str, Any] = {
        "where": wanted,
        "text": text or None,
        "sort": sort if sort != archive.Sort.ADDED else None,
    }
    return lambda page: url_for("pages.library", **said, page=page if page > 1 else None)
