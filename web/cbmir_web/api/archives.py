"""The archives (PACS) that are followed, and what the script in an Orthanc tells."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import url_for

from cbmir.services.archives import steering
from cbmir.services.archives.backlog import backlog
from cbmir.services.archives.registered import remove
from cbmir.services.archives.status import ArchiveStatus, overview
from cbmir_web.actions import describing, following
from cbmir_web.api.answers import Accepted, accepted
from cbmir_web.api.archive_schemas import (
    ArchiveChangesSchema,
    ArchiveSchema,
    ArchivesSchema,
    ChecksSchema,
    ComparisonSchema,
    EventsSchema,
    NewArchiveSchema,
    NoticedSchema,
    RemovalSchema,
    RemovedSchema,
    ReportSchema,
)
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import ErrorSchema, JobSchema
from cbmir_web.installation import installation

blueprint = Blueprint("archives", __name__, description="The archives (PACS) that are followed.")


@blueprint.route("/archives")
@blueprint.response(200, ArchivesSchema)
def listing() -> dict[str, Any]:
    """All archives, each with its state: connected, behind by how many, last change, what is wrong. And what was
    received and waits to be recorded."""
    here = installation()
    with here.database.read() as session:
        return {"archives": overview(session), "received": backlog(session, here.settings)}


@blueprint.route("/archives", methods=["POST"])
@blueprint.arguments(NewArchiveSchema)
@blueprint.response(201, ArchiveSchema)
@blueprint.alt_response(422, schema=ErrorSchema, description="It is described wrongly, there already, or fails.")
@blueprint.alt_response(502, schema=ErrorSchema, description="It does not answer.")
def add(asked: dict[str, Any]) -> tuple[ArchiveStatus, HTTPStatus, dict[str, str]]:
    """Test an archive, then follow it. Certificates lie in files on the host: `cbmir archive add` takes them."""
    added = describing.add(installation(), asked)
    return added, HTTPStatus.CREATED, {"Location": url_for("archives.one", name=added.name)}


@blueprint.route("/archives/<name>")
@blueprint.response(200, ArchiveSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def one(name: str) -> ArchiveStatus:
    """One archive with its state. No credential is ever given."""
    return following.status(installation(), name)


@blueprint.route("/archives/<name>", methods=["PATCH"])
@blueprint.arguments(ArchiveChangesSchema)
@blueprint.response(200, ArchiveSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(422, schema=ErrorSchema, description="It is described wrongly, or a test fails.")
@blueprint.alt_response(502, schema=ErrorSchema, description="It does not answer.")
def edit(asked: dict[str, Any], name: str) -> ArchiveStatus:
    """Change how an archive is reached, and what of it is wanted; it is tested first where it is reached otherwise.

    What is not named stays, and null sets back. With other rules it is compared as a whole: what is wanted now
    comes in; what is not any more stays, unless `drop_unmatched` deletes it here.
    """
    return describing.edit(installation(), name, asked)


@blueprint.route("/archives/<name>", methods=["DELETE"])
@blueprint.arguments(RemovalSchema, location="query")
@blueprint.response(200, RemovedSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def forget(asked: dict[str, str], name: str) -> dict[str, int]:
    """Follow an archive no longer; `images` says what becomes of those that came from it: `keep` or `delete`."""
    here = installation()
    return {"deleted": remove(here.database, here.settings, name, delete_images=asked["images"] == "delete")}


@blueprint.route("/archives/<name>/test", methods=["POST"])
@blueprint.response(200, ChecksSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def test(name: str) -> dict[str, Any]:
    """Reach the archive, log in, and find out what it can do; what fails is a check that says so."""
    checks = describing.check(installation(), name)
    return {"checks": checks, "fine": all(each.fine for each in checks)}


@blueprint.route("/archives/<name>/sync", methods=["POST"])
@blueprint.arguments(ComparisonSchema)
@blueprint.response(202, ArchiveSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def sync(asked: dict[str, bool], name: str) -> ArchiveStatus:
    """Have the workers compare the archive as a whole now; they follow it anyway."""
    here = installation()
    steering.compare(here.database, name, **asked)
    return following.status(here, name)


@blueprint.route("/archives/<name>/verify", methods=["POST"])
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def verify(name: str) -> Accepted:
    """Have a worker compare every object of the archive with the index; gives a job whose result tells differences.

    Nothing is changed. The result counts all differences by kind, and names the first 100.
    """
    return accepted(following.verify(installation(), name))


@blueprint.route("/archives/<name>/pause", methods=["POST"])
@blueprint.response(200, ArchiveSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def pause(name: str) -> ArchiveStatus:
    """Leave the archive alone until it is resumed."""
    here = installation()
    steering.pause(here.database, name)
    return following.status(here, name)


@blueprint.route("/archives/<name>/resume", methods=["POST"])
@blueprint.response(200, ArchiveSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def resume(name: str) -> ArchiveStatus:
    """Follow a paused archive again; it is compared as a whole."""
    here = installation()
    steering.resume(here.database, name)
    return following.status(here, name)


@blueprint.route("/archives/<name>/report", methods=["POST"])
@blueprint.arguments(ReportSchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
def report(asked: dict[str, Any], name: str) -> Accepted:
    """Store an answer in the archive, in the study of the image that was asked about; gives a job."""
    return accepted(following.report(installation(), name, **asked))


@blueprint.route("/archives/<name>/events", methods=["POST"])
@blueprint.arguments(EventsSchema)
@blueprint.response(202, NoticedSchema)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(422, schema=ErrorSchema)
def events(told: dict[str, Any], name: str) -> dict[str, int]:
    """What the script in an Orthanc tells: ids of instances stored and deleted, at most 1,000 in a call.

    Within one call what was stored came before what was deleted.
    """
    following.take_notice(installation(), name, **told)
    return {"stored": len(told["stored"]), "deleted": len(told["deleted"])}
