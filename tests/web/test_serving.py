"""The server itself: addresses, refusals before the application, the command."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cbmir.errors import Unavailable
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir_web.serving import make_server


def serving(settings: Settings) -> AbstractContextManager[http.client.HTTPConnection]:
    """A running server and a connection to it."""
    return running(make_server(settings))


@contextmanager
def running(server: Any) -> Iterator[http.client.HTTPConnection]:
    """The server runs meanwhile; gives a connection to it."""

    def run() -> None:
        with suppress(OSError):  # it may be waiting for the very socket that is closed at the end
            server.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()
        server.close()
        thread.join(5)


def test_it_serves(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with serving(replace(settings, port=0)) as connection:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        assert response.status == 200
        assert json.load(response) == {"status": "alive"}


def test_too_large_a_body_is_refused_before_it_is_sent(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with serving(replace(settings, port=0, max_upload_bytes=1000)) as connection:
        connection.putrequest("POST", "/api/v1/ingest")
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413
        assert json.load(response)["error"]["code"] == "too-large"


@contextmanager
def behind_a_password(settings: Settings) -> Iterator[http.client.HTTPConnection]:
    with serving(replace(settings, port=0, username="reader", password="right")) as connection:
        yield connection


def post(connection: http.client.HTTPConnection, announced: int, **headers: str) -> http.client.HTTPResponse:
    """The answer to a body of this many bytes, of which none is sent."""
    connection.putrequest("POST", "/api/v1/ingest")
    for name, value in {"Content-Length": str(announced), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


WRONG = {"Authorization": "Basic cmVhZGVyOndyb25n"}
GARBLED = {"Authorization": "Basic ?"}
WAITING = {"Expect": "100-continue"}


@pytest.mark.parametrize("given", [{}, WRONG, GARBLED, WAITING])
def test_a_large_body_is_not_read_without_the_password(
    settings: Settings,
    database: Database,  # noqa: ARG001
    given: dict[str, str],
) -> None:
    with behind_a_password(settings) as connection:
        response = post(connection, 10**8, **given)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].lower().startswith("basic")
        assert json.load(response)["error"]["code"] == "unauthorized"


def test_nor_is_what_was_sent_of_it_taken_for_another_request(
    settings: Settings,
    database: Database,  # noqa: ARG001
) -> None:
    with behind_a_password(settings) as connection:
        connection.connect()
        body = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n" + body)
        with connection.sock.makefile("rb") as answers:
            assert answers.read().count(b"HTTP/1.1 ") == 1


def test_one_that_waits_is_told_that_it_is_too_large(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with serving(replace(settings, port=0, max_upload_bytes=1000)) as connection:
        assert post(connection, 10**12, **WAITING).status == 413


def test_a_browser_is_told_so_in_a_sentence(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with serving(replace(settings, port=0, max_upload_bytes=1000)) as connection:
        response = post(connection, 10**12, Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert (response.status, response.headers["Content-Type"]) == (413, "text/plain; charset=utf-8")
        assert response.read().startswith(b"More was sent than the 1000 bytes that are taken at once. Send fewer")


def test_nor_one_whose_length_is_not_said(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with behind_a_password(settings) as connection:
        connection.putrequest("POST", "/api/v1/ingest")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        assert connection.getresponse().status == 401


def test_with_the_password_a_large_body_comes_in(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with behind_a_password(settings) as connection:
        headers = {"Authorization": "Basic cmVhZGVyOnJpZ2h0", "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/ingest", b"[" * 100_000, headers)
        assert connection.getresponse().status not in (401, 413)


def test_what_is_no_http_is_refused_in_our_words(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with serving(replace(settings, port=0)) as connection:
        connection.connect()
        connection.sock.sendall(b"GET / HTTP/1.1\r\nbroken header\r\n\r\n")
        response = http.client.HTTPResponse(connection.sock)
        response.begin()
        assert response.status == 400
        assert json.load(response)["error"]["code"] == "malformed"


def test_an_application_that_breaks_is_answered_for(settings: Settings, database: Database) -> None:  # noqa: ARG001
    server: Any = make_server(replace(settings, port=0))

    def broken(_environment: object, _start: object) -> None:
        raise ZeroDivisionError

    server.application = broken
    with running(server) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 500
        assert json.load(response)["error"]["code"] == "internal"


def test_a_taken_port_is_said(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unavailable, match="cannot be bound"):
            make_server(replace(settings, port=taken.getsockname()[1]))


def test_a_name_may_stand_for_the_address(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with serving(replace(settings, port=0, host="localhost")) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


def test_the_command_refuses_an_open_door(tmp_path: Path) -> None:
    environment = {**os.environ, "CBMIR_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "cbmir", "web", "--host", "0.0.0.0"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "no password is configured" in ended.stderr
    assert "CBMIR_PASSWORD" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
