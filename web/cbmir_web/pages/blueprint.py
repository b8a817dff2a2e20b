"""The blueprint that the pages' modules add their routes to, and what every page shows."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

blueprint = Blueprint("pages", __name__)

PAGES = (
    ("pages.search", "Search", "search"),
    ("pages.library", "Library", "library"),
    ("pages.upload", "Add images", "add"),
    ("pages.archives", "Archives", "archive"),
    ("pages.jobs", "Jobs", "jobs"),
    ("pages.encoders", "Encoders", "encoder"),
    ("pages.quarantine", "Quarantine", "quarantine"),
)


@blueprint.app_context_processor
def navigation() -> dict[str, Any]:
    """The pages of the menu: endpoint, name and icon of each."""
    return {"pages": PAGES}
