"""Files into the archive's index, from the browser."""

from __future__ import annotations

from http import HTTPStatus

from flask import make_response, redirect, render_template, url_for
from werkzeug.wrappers import Response

from cbmir.errors import CbmirError
from cbmir_web import adding, errors
from cbmir_web.installation import installation
from cbmir_web.pages.blueprint import blueprint


@blueprint.get("/upload")
def upload() -> str:
    """The form."""
    return render_template("upload.html", problem=None, limit=installation().settings.max_upload_bytes)


@blueprint.post("/upload")
def add() -> Response:
    """Take the files; show the job that reads them."""
    try:
        job = adding.enqueue(installation())
    except CbmirError as error:
        return _refused(errors.problem_of(error))
    return redirect(url_for("pages.job", job_id=job.id), HTTPStatus.SEE_OTHER)


def _refused(problem: errors.Problem) -> Response:
    if errors.wants_json():
        return errors.answer(problem)
    limit = installation().settings.max_upload_bytes
    return make_response(render_template("upload.html", problem=problem, limit=limit), problem.status)
