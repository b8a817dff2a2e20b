"""One map from error code to HTTP status, one JSON shape, one page for people; never a stack trace."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, jsonify, make_response, redirect, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge, SecurityError
from werkzeug.wrappers import Response as AnyResponse

from cbmir import errors
from cbmir.errors import CbmirError, JobCancelled
from cbmir.store import jobs
from cbmir.store.tables import Job
from cbmir.unforeseen import places
from cbmir_web.arguments import sentence
from cbmir_web.presenting import size

log = logging.getLogger(__name__)

UNTRUSTED = "untrusted-host"
EXPIRED = "form-expired"

STATUS: Mapping[str, HTTPStatus] = {
    **{leaf.code: HTTPStatus.UNPROCESSABLE_ENTITY for leaf in errors.UnusableInput.__subclasses__()},
    errors.UnusableInput.code: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unforeseen.code: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ConflictingInstance.code: HTTPStatus.CONFLICT,
    errors.ConflictingLabels.code: HTTPStatus.CONFLICT,
    errors.NotFound.code: HTTPStatus.NOT_FOUND,
    errors.EmptyGallery.code: HTTPStatus.CONFLICT,
    errors.EncoderMismatch.code: HTTPStatus.CONFLICT,
    errors.EncoderNotReady.code: HTTPStatus.CONFLICT,
    errors.WeightsMismatch.code: HTTPStatus.CONFLICT,
    errors.TrainingFailed.code: HTTPStatus.CONFLICT,
    errors.JobCancelled.code: HTTPStatus.CONFLICT,
    errors.Unavailable.code: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseUnavailable.code: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SchemaOutdated.code: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.BrokerUnavailable.code: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ArchiveUnavailable.code: HTTPStatus.BAD_GATEWAY,
    errors.ArchiveRefused.code: HTTPStatus.BAD_GATEWAY,
    errors.ArchiveGarbled.code: HTTPStatus.BAD_GATEWAY,
    errors.MassDeletion.code: HTTPStatus.CONFLICT,
    errors.DiskFull.code: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.CbmirError.code: HTTPStatus.INTERNAL_SERVER_ERROR,
    jobs.WORKER_LOST: HTTPStatus.SERVICE_UNAVAILABLE,
    "malformed": HTTPStatus.BAD_REQUEST,
    EXPIRED: HTTPStatus.BAD_REQUEST,
    UNTRUSTED: HTTPStatus.BAD_REQUEST,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "method-not-allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported-media-type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
"""The HTTP status of every error code, the library's own and the web's."""

CODE = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: errors.NotFound.code,
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
    HTTPStatus.UNPROCESSABLE_ENTITY: errors.BadRequest.code,
}
"""The code of an error that Flask or Werkzeug raised."""

REASON = {
    HTTPStatus.NOT_FOUND: ("There is nothing at this address.", "Start again from the first page."),
    HTTPStatus.UNAUTHORIZED: ("A name and a password are needed.", "Ask whoever runs this installation."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("This address does not take that method.", "See /api/docs."),
}


@dataclass(frozen=True)
class Problem:
    """An error as it is shown: `code` is stable, `reason` says what is wrong, `remedy` what to do."""

    code: str
    reason: str
    remedy: str = ""

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that goes with the code."""
        return STATUS.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)

    def as_json(self) -> dict[str, Any]:
        """The one shape of an error in the whole API."""
        return {"error": {"code": self.code, "reason": self.reason, "remedy": self.remedy}}


def install(app: Flask) -> None:
    """Answer every error of the application from here."""
    app.register_error_handler(CbmirError, lambda error: answer(problem_of(error)))
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unforeseen)


def problem_of(error: CbmirError) -> Problem:
    """An error of the library as it is shown."""
    return Problem(error.code, error.reason, error.remedy)


def answer(problem: Problem) -> Response:
    """The problem as JSON for programs, as a page for people."""
    if wants_json():
        return make_response(jsonify(problem.as_json()), problem.status)
    bare = problem.code in (
        UNTRUSTED,
        "unauthorized",
    )  # strangers see no page of ours, nor could it load its styles
    if bare or not _is_asked_by_name():  # no address of ours can be built, and so no page
        return Response(f"{problem.reason} {problem.remedy}", problem.status, mimetype="text/plain")
    page = "expired.html" if problem.code == EXPIRED else "error.html"
    return make_response(render_template(page, problem=problem), problem.status)


def on_page(error: CbmirError, page: Callable[[Problem], str]) -> Response:
    """What went wrong, on the page whose form brought it about; as JSON for programs."""
    problem = problem_of(error)
    return answer(problem) if wants_json() else make_response(page(problem), problem.status)


def _is_asked_by_name() -> bool:
    """Whether the request names a host of ours."""
    try:
        return bool(request.host)
    except SecurityError:
        return False


def wants_json() -> bool:
    """True for the API and for whoever prefers JSON to HTML."""
    if request.path.startswith(("/api/", "/healthz", "/readyz", "/metrics")):
        return True
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _answer_http(error: HTTPException) -> AnyResponse:
    if error.response is not None or (error.code or 500) < HTTPStatus.BAD_REQUEST:
        return make_response(error.get_response())
    if isinstance(error, MethodNotAllowed) and request.method == "GET" and not wants_json():
        return redirect(_page_above(), HTTPStatus.SEE_OTHER)
    response = answer(_problem_of_http(error))
    response.headers.extend([(name, value) for name, value in error.get_headers() if name != "Content-Type"])
    return response


def _page_above() -> str:
    """The page that has the form which is sent to this address: who comes back to the answer, finds that."""
    routes, path = current_app.create_url_adapter(request), request.path
    while routes and path.count("/") > 1:
        path = path.rpartition("/")[0]
        if "GET" in routes.allowed_methods(path):
            return path
    return "/"


def _problem_of_http(error: HTTPException) -> Problem:
    if isinstance(error, CSRFError):
        return Problem(EXPIRED, "The form is of an earlier session.", "Go back to it, reload it and send it again.")
    if isinstance(error, SecurityError):
        return Problem(
            UNTRUSTED,
            "The request names a host that this installation does not know as its own.",
            "Add the name to CBMIR_TRUSTED_HOSTS, or use http://localhost.",
        )
    if isinstance(error, RequestEntityTooLarge):
        return too_large(current_app.config["MAX_CONTENT_LENGTH"])
    return _plain_problem(error)


def problem_of_job(job: Job) -> Problem:
    """Why a job failed or was cancelled, as it is shown."""
    reason = job.error_message or "The job was cancelled."
    return Problem(job.error_code or JobCancelled.code, reason, job.error_remedy)


def too_large(limit: int) -> Problem:
    """More was sent than is taken at once; `limit` in bytes."""
    return Problem(
        "too-large",
        f"More was sent than the {size(limit)} that are taken at once.",
        "Send fewer files at a time, if there are several, use `cbmir ingest`, or raise CBMIR_MAX_UPLOAD_BYTES.",
    )


def password_missing() -> Problem:
    """Nobody comes in without the password."""
    return Problem(CODE[HTTPStatus.UNAUTHORIZED], *REASON[HTTPStatus.UNAUTHORIZED])


def _plain_problem(error: HTTPException) -> Problem:
    status = HTTPStatus(error.code or 500)
    reason, remedy = REASON.get(status, (error.description or status.phrase, ""))
    return Problem(CODE.get(status, "internal"), _validation_reason(error) or reason, remedy)


def _validation_reason(error: HTTPException) -> str:
    """What webargs found wrong, as one sentence; it sorts its findings by where in the request they lie."""
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    by_location: Mapping[str, Any] = data.get("messages", {})
    return " ".join(sentence(found) for found in by_location.values())


def _answer_unforeseen(error: Exception) -> Response:
    reference = uuid.uuid4().hex[:8]
    # the error's own words may quote a file, and so a patient: its kind and place are enough
    log.error("error %s at %s\n%s", reference, request.url_rule, places(error))
    return answer(
        Problem("internal", f"Something went wrong here (reference {reference}).", "The log says more about it.")
    )
