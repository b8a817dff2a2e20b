"""The server: waitress, with our words where it refuses a request before the application sees it."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Any

import orjson
import waitress
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from cbmir.errors import CbmirError, Unavailable
from cbmir.settings import Settings
from cbmir_web import create_app
from cbmir_web.errors import Problem, too_large

THREADS = 16
"""Requests answered at one time; half of them may wait for a job (`cbmir_web.waiting`)."""


class RefusingTask(ErrorTask):  # type: ignore[misc]
    """Answers what waitress answers by itself - too long, no HTTP, a broken application - in the API's shape."""

    def execute(self) -> None:
        """Write the answer and close the connection: the rest of the request is not read."""
        problem = self._problem()
        body = orjson.dumps(problem.as_json())
        self.status = f"{problem.status.value} {problem.status.phrase}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def _problem(self) -> Problem:
        code = self.request.error.code
        if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return too_large(self.channel.server.adj.max_request_body_size)
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
    server.channel_class = RefusingChannel
    return server


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise Unavailable(
            f"{settings.host}:{settings.port} cannot be bound: {error.strerror}.",
            "Stop what uses it, or choose another with --port.",
        ) from error
