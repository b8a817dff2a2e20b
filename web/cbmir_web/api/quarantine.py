"""Files that could not be used: the list, also as CSV and JSON to keep, and reading them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response

from cbmir.store import quarantine
from cbmir_web.actions import retrying
from cbmir_web.api import lists
from cbmir_web.api.answers import Accepted, accepted
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import (
    ErrorSchema,
    JobSchema,
    QuarantinePageSchema,
    QuarantineSchema,
    ReasonSchema,
    RetrySchema,
)
from cbmir_web.installation import installation

blueprint = Blueprint("quarantine", __name__, description="Files that could not be used.")


@blueprint.route("/quarantine")
@blueprint.arguments(QuarantinePageSchema, location="query")
@blueprint.response(200, QuarantineSchema)
def listing(page: dict[str, Any]) -> dict[str, Any]:
    """Files that were handed in and could not be used, newest first, with the reason and what to do."""
    code = page.get("code")
    with installation().database.read() as session:
        found = quarantine.listing(session, code=code, limit=page["limit"], offset=page["offset"])
        counts = quarantine.counts(session)
    total = sum(counts.values()) if code is None else counts.get(code, 0)
    return {"quarantine": found, "total": total, "codes": counts}


@blueprint.route("/quarantine/retry", methods=["POST"])
@blueprint.arguments(RetrySchema)
@blueprint.response(202, JobSchema)
@blueprint.alt_response(404, schema=ErrorSchema, description="Nothing in quarantine matches.")
@blueprint.alt_response(422, schema=ErrorSchema)
def retry(asked: dict[str, Any]) -> Accepted:
    """Read files again from where they were: exactly one of `ids`, `code` and `all` says which.

    What can be used now leaves the quarantine. The job's result counts `ingested`, `duplicates`, `quarantined`
    (set aside again), `failed`, `asked` (objects of archives, to be fetched again) and `gone` (no longer where
    they were).
    """
    return accepted(retrying.enqueue(installation(), asked))


@blueprint.route("/quarantine.csv")
@blueprint.arguments(ReasonSchema, location="query")
@blueprint.response(200, content_type="text/csv", schema={"type": "string"})
def as_csv(asked: dict[str, str]) -> Response:
    """The whole list, oldest first, streamed. A cell that a spreadsheet would compute begins with an apostrophe."""
    return _download(lists.as_csv(installation().database, asked.get("code")), "text/csv", "quarantine.csv")


@blueprint.route("/quarantine.json")
@blueprint.arguments(ReasonSchema, location="query")
@blueprint.response(200, content_type="application/json", schema={"type": "array", "items": {"type": "object"}})
def as_json(asked: dict[str, str]) -> Response:
    """The whole list, oldest first, streamed."""
    pieces = lists.as_json(installation().database, asked.get("code"))
    return _download(pieces, "application/json", "quarantine.json")


def _download(pieces: Iterator[bytes], mimetype: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lists.begun(pieces), mimetype=mimetype, headers=headers)
