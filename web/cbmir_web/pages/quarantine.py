"""Files that could not be used, and reading them again."""

from __future__ import annotations

from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cbmir.errors import CbmirError
from cbmir.store import quarantine as rows
from cbmir_web import errors
from cbmir_web.actions import retrying
from cbmir_web.api.schemas import RetrySchema
from cbmir_web.arguments import from_form
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages import paging
from cbmir_web.pages.blueprint import blueprint

ON_A_PAGE = 100


@blueprint.get("/quarantine")
def quarantine() -> str:
    """What was set aside, why, and what to do; `?code=` keeps one reason."""
    return _page(request.args.get("code"))


@blueprint.post("/quarantine/retry")
def retry_quarantined() -> Response:
    """Read files again; show the job that does."""
    try:
        job = retrying.enqueue(installation(), from_form(RetrySchema()))
    except CbmirError as error:
        return errors.on_page(error, lambda problem: _page(request.form.get("code"), problem))
    return redirect(url_for("pages.job", job_id=job.id), HTTPStatus.SEE_OTHER)


def _page(code: str | None, problem: Problem | None = None) -> str:
    with installation().database.read() as session:
        counts = rows.counts(session)
        code = code if code in counts else None
        total = counts[code] if code else sum(counts.values())
        last = paging.last(total, ON_A_PAGE)
        page = min(paging.asked(), last)
        found = rows.listing(session, code=code, limit=ON_A_PAGE, offset=(page - 1) * ON_A_PAGE)
    return render_template(
        "quarantine.html", found=found, total=total, page=page, last=last, code=code, counts=counts, problem=problem
    )
