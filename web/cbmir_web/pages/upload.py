"""Files into the archive's index, from the browser."""

from __future__ import annotations

from http import HTTPStatus

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from cbmir.errors import CbmirError
from cbmir_web import errors
from cbmir_web.actions import adding
from cbmir_web.errors import Problem
from cbmir_web.installation import installation
from cbmir_web.pages.blueprint import blueprint


@blueprint.get("/upload")
def upload() -> str:
    """The form."""
    return _form()


@blueprint.post("/upload")
def add() -> Response:
    """Take the files; show the job that reads them."""
    try:
        job = adding.enqueue(installation())
    except CbmirError as error:
        return errors.on_page(error, _form)
    return redirect(url_for("pages.job", job_id=job.id), HTTPStatus.SEE_OTHER)


def _form(problem: Problem | None = None) -> str:
    return render_template("upload.html", problem=problem, limit=installation().settings.max_upload_bytes)
