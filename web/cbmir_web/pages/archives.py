"""The archives (PACS) that are followed: how each is, and the forms that add, edit, test, compare and remove."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cbmir.archive.base import Check
from cbmir.errors import BadRequest, CbmirError
from cbmir.services.archives import certificates, registered, steering
from cbmir.services.archives.backlog import backlog
from cbmir.services.archives.status import overview
from cbmir_web import errors, wording
from cbmir_web.actions import describing, following
from cbmir_web.api.archive_schemas import (
    ArchiveChangesSchema,
    ComparisonSchema,
    DestinationSchema,
    NewArchiveSchema,
    RemovalSchema,
)
from cbmir_web.arguments import from_form
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages.blueprint import blueprint
from cbmir_web.pages.letting_in import aside
from cbmir_web.pages.overtaken import refuse_overtaken, shown


@blueprint.get("/archives")
def archives() -> str:
    """The archives and the form to add another."""
    return _page()


@blueprint.get("/archives/<name>/live")
def archive_live(name: str) -> str:
    """The part of an archive's card that changes while it is followed."""
    return render_template("archive_live.html", archive=following.status(installation(), name))


@blueprint.post("/archives")
def add_archive() -> Response:
    """Test an archive and follow it from now on."""
    return _done(
        lambda: describing.add(installation(), from_form(NewArchiveSchema(), aside(request.form), wording.ARCHIVE))
    )


@blueprint.get("/archives/<name>/edit")
def edit_archive(name: str) -> str:
    """The form that changes how an archive is reached, and what of it is wanted."""
    return _editing(name, describing.described(installation(), name))


@blueprint.post("/archives/<name>/edit")
def edited_archive(name: str) -> Response:
    """Follow the archive as it is described now."""
    known = describing.described(installation(), name)
    try:
        refuse_overtaken(name, known, request.form.get("shown"))
        asked = from_form(ArchiveChangesSchema(), aside(request.form, known["way"]), wording.ARCHIVE)
        describing.edit(installation(), name, asked)
    except CbmirError as error:
        return errors.on_page(error, lambda problem: _editing(name, known, problem))
    return redirect(url_for("pages.archives"), HTTPStatus.SEE_OTHER)


def _editing(name: str, known: dict[str, Any], problem: Problem | None = None) -> str:
    files = certificates.names(installation().settings)
    return render_template(
        "archive_edit.html",
        name=name,
        given=known | request.form.to_dict(),
        shown=shown(known),
        problem=problem,
        files=files,
        wording=wording.ARCHIVE,
    )


@blueprint.post("/archives/<name>/test")
def test_archive(name: str) -> Response:
    """Show what the archive can do, and what is wrong."""
    try:
        checks = describing.check(installation(), name)
    except CbmirError as error:
        return errors.on_page(error, _page)
    return make_response(_page(tested=name, checks=checks))


@blueprint.post("/archives/<name>/sync")
def sync_archive(name: str) -> Response:
    """Have the workers compare the archive as a whole now."""
    return _done(lambda: steering.compare(installation().database, name, **from_form(ComparisonSchema())))


@blueprint.post("/archives/<name>/verify")
def verify_archive(name: str) -> Response:
    """Have a worker compare every object of the archive with the index; show the job that does it."""
    try:
        job = following.verify(installation(), name)
    except CbmirError as error:
        return errors.on_page(error, _page)
    return redirect(url_for("pages.job", job_id=job.id), HTTPStatus.SEE_OTHER)


@blueprint.post("/archives/<name>/pause")
def pause_archive(name: str) -> Response:
    """Leave the archive alone."""
    return _done(lambda: steering.pause(installation().database, name))


@blueprint.post("/archives/<name>/resume")
def resume_archive(name: str) -> Response:
    """Follow the archive again."""
    return _done(lambda: steering.resume(installation().database, name))


@blueprint.post("/queries/<job_id>/report")
def report(job_id: str) -> Response:
    """Store an answer in an archive that holds the image asked about; show the job that does it."""
    asked = from_form(DestinationSchema())
    if "kinds" not in request.form:  # a box that is not ticked is not sent, and over REST both are the default
        raise BadRequest("Nothing is stored: no kind of document was ticked.", "Go back, and tick one or both.")
    job = following.report(installation(), asked["archive"], query=job_id, kinds=asked["kinds"])
    return redirect(url_for("pages.job", job_id=job.id), HTTPStatus.SEE_OTHER)


@blueprint.post("/archives/<name>/remove")
def remove_archive(name: str) -> Response:
    """Follow the archive no longer."""
    return _done(lambda: _remove(name))


def _remove(name: str) -> None:
    images = from_form(RemovalSchema())["images"]
    if request.form.get("sure") != "true":
        raise BadRequest(f"{name} is not removed: that was not confirmed.", "Tick the box.")
    here = installation()
    registered.remove(here.database, here.settings, name, delete_images=images == "delete")


def _done(act: Callable[[], object]) -> Response:
    try:
        act()
    except CbmirError as error:
        return errors.on_page(error, _page)
    return redirect(url_for("pages.archives"), HTTPStatus.SEE_OTHER)


def _page(problem: Problem | None = None, tested: str = "", checks: list[Check] | None = None) -> str:
    here = installation()
    with here.database.read() as session:
        found, received = overview(session), backlog(session, here.settings)
    context: dict[str, Any] = {"archives": found, "problem": problem, "tested": tested, "checks": checks or []}
    context |= {
        "received": received,
        "verified": following.verified(here),
        "files": certificates.names(here.settings),
    }
    return render_template("archives.html", **context, given=request.form, wording=wording.ARCHIVE)
