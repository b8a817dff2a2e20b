"""Files that could not be used."""

from __future__ import annotations

import math

from flask import render_template, request

from cbmir.store import quarantine as rows
from cbmir_web.installation import installation
from cbmir_web.pages.blueprint import blueprint

ON_A_PAGE = 100


@blueprint.get("/quarantine")
def quarantine() -> str:
    """What was set aside, why, and what to do."""
    page = max(request.args.get("page", 1, type=int), 1)
    with installation().database.read() as session:
        found = rows.listing(session, limit=ON_A_PAGE, offset=(page - 1) * ON_A_PAGE)
        total = rows.count(session)
    return render_template(
        "quarantine.html", found=found, total=total, page=page, last=max(math.ceil(total / ON_A_PAGE), 1)
    )
