"""The server: waitress, with our words where it refuses a request before the application sees it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
import waitress
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask
from waitress.utilities import Error
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from cbmir.errors import CbmirError, Unavailable
from cbmir.settings import Settings
from cbmir_web import security
from cbmir_web.app import create_app
from cbmir_web.errors import Problem, password_missing, too_large

THREADS = 16
"""Requests answered at one time; half of them may wait for a job (`cbmir_web.actions.waiting`)."""

TAKEN_FROM_STRANGERS = 65_536
"""Bytes of a body that are read before anybody looks at the password."""


class PasswordMissing(Error):  # type: ignore[misc]
    """Much was to be sent without the password."""

    code = HTTPStatus.UNAUTHORIZED.value
    reason = HTTPStatus.UNAUTHORIZED.phrase


class KnockingParser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses a large body whose sender has not the password before it lies on the disk."""

    content_length: int
    body_rcv: Any
    error: Error | None

    def __init__(self, adjustments: Any, admits: Callable[[str | None], bool]) -> None:
        super().__init__(adjustments)
        self._admits = admits

    def received(self, data: bytes) -> int:
        """Take what has come; gives how many bytes of it belong to this request."""
        consumed: int = super().received(data)
        if not self.error:
            return consumed
        self.expect_continue = False  # waitress would ask for the body, and take it for another request
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header, and let no body follow that is not to be read."""
        super().parse_header(header_plus)
        is_large = self.chunked or self.content_length > TAKEN_FROM_STRANGERS
        if is_large and not self._admits(self.headers.get("AUTHORIZATION")):
            self.body_rcv, self.content_length, self.error = None, 0, PasswordMissing("")


class RefusingTask(ErrorTask):  # type: ignore[misc]
    """Answers what waitress answers by itself - too long, no HTTP, a broken application - in our words."""

    def execute(self) -> None:
        """Write the answer and close the connection: the rest of the request is not read."""
        problem = self._problem()
        kind, body = self._told(problem)
        self.status = f"{problem.status.value} {problem.status.phrase}"
        self.response_headers.append(("Content-Type", kind))
        if problem.status == HTTPStatus.UNAUTHORIZED:
            self.response_headers.append(("WWW-Authenticate", security.REALM.to_header()))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def _told(self, problem: Problem) -> tuple[str, bytes]:
        """Media type and body: a sentence for a browser that asked for a page, else the API's JSON."""
        if parse_accept_header(self.request.headers.get("ACCEPT", ""), MIMEAccept).best == "text/html":
            return "text/plain; charset=utf-8", f"{problem.reason} {problem.remedy}".encode()
        return "application/json", orjson.dumps(problem.as_json())

    def _problem(self) -> Problem:
        code = self.request.error.code
        if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return too_large(self.channel.server.adj.max_request_body_size)
        if code == HTTPStatus.UNAUTHORIZED:
            return password_missing()
        if code == HTTPStatus.INTERNAL_SERVER_ERROR:  # the application itself failed to answer
            return Problem(CbmirError.code, "Something went wrong here.", "The log says more about it.")
        return Problem("malformed", "This is not a request that can be understood.")


class RefusingChannel(HTTPChannel):  # type: ignore[misc]
    """A connection that refuses in our words."""

    error_task_class = RefusingTask


def make_server(settings: Settings) -> Any:
    """The server, bound to its address; its `run` serves until it is closed.

    Raises:
        cbmir.errors.BadRequest: if it would be reachable from other machines without a password.
        cbmir.errors.Unavailable: if the address is taken or not of this machine.
    """
    app = create_app(settings)
    server = waitress.create_server(
        app,
        sockets=[_listener(settings)],
        threads=THREADS,
        max_request_body_size=settings.max_upload_bytes,
        ident="cbmir",
    )
    server.channel_class = _channel(settings)
    return server


def _channel(settings: Settings) -> type[RefusingChannel]:
    parser = partial(KnockingParser, admits=security.admits(settings))
    return type("Channel", (RefusingChannel,), {"parser_class": staticmethod(parser)})  # no method of it


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise Unavailable(
            f"{settings.host}:{settings.port} cannot be bound: {error.strerror}.",
            "Stop what uses it, or choose another with --port.",
        ) from error
