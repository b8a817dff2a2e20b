"""GET /quarantine: files that could not be used."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint

from cbmir.store import quarantine
from cbmir_web.api.schemas import PageSchema, QuarantineSchema
from cbmir_web.installation import installation

blueprint = Blueprint("quarantine", __name__, description="Files that could not be used.")


@blueprint.route("/quarantine")
@blueprint.arguments(PageSchema, location="query")
@blueprint.response(200, QuarantineSchema)
def listing(page: dict[str, int]) -> dict[str, Any]:
    """Files that were handed in and could not be used, newest first, with the reason and what to do."""
    with installation().database.read() as session:
        found = quarantine.listing(session, limit=page["limit"], offset=page["offset"])
        return {"quarantine": found, "total": quarantine.count(session)}
