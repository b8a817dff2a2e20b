"""Everything of one installation, running on this machine: its Redis, the web and a worker of each role."""

from __future__ import annotations

import base64
import errno
import fcntl
import http.client
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from cbmir.errors import BadRequest, Unavailable
from cbmir.settings import Settings, refuse_open_door
from cbmir_workers import embedded_redis
from cbmir_workers.queues import ROLES
from cbmir_workers.supervisor import Program, Supervisor
from cbmir_workers.worker import environment

ASK_SECONDS = 0.25
"""How often the web is asked whether it is ready."""

REDIS_SECONDS = 2.0
"""How often it is looked whether the embedded Redis is there."""

PORT_SECONDS = 3.0
"""How long a taken port is waited for: the web of an `up` that was killed lets it go within a moment."""

LOCK = "up.lock"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

log = logging.getLogger(__name__)


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the web and all workers until SIGTERM or Ctrl-C.

    Args:
        settings: the installation's; its database must be up to date.
        say: told once the web answers.

    Raises:
        cbmir.errors.BadRequest: if the port is taken, the installation runs already, or would be open to a network
            without a password.
        cbmir.errors.BrokerUnavailable: if the embedded Redis does not start.
        cbmir.errors.Unavailable: if the web or a worker dies again and again.
    """
    refuse_open_door(settings)
    with _alone(settings.data):
        _check_port(settings)
        with _broker(settings) as broker_url:
            shared = replace(settings, data=settings.data.absolute(), broker_url=broker_url)
            programs = [Program("web", ("web",), child_environment(shared)), *workers(shared, tuple(ROLES))]
            Supervisor(programs, _Watch(settings, say)).run()


def run_workers(settings: Settings, roles: Sequence[str]) -> None:
    """Run one worker process for each role until SIGTERM or Ctrl-C.

    Raises:
        cbmir.errors.BrokerUnavailable: if the embedded Redis does not start.
        cbmir.errors.Unavailable: if a worker dies again and again.
    """
    with embedded_redis.running(settings) as broker_url:
        shared = replace(settings, data=settings.data.absolute(), broker_url=broker_url)
        Supervisor(workers(shared, roles)).run()


def workers(settings: Settings, roles: Sequence[str]) -> list[Program]:
    """A program for the worker of each role."""
    return [
        Program(
            f"worker for {role}",
            ("worker", "--role", role),
            {**child_environment(settings), **environment(settings, role)},
        )
        for role in roles
    ]


def child_environment(settings: Settings, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment that gives a child process these very settings."""
    inherited = {name: value for name, value in base.items() if not name.startswith("CBMIR_")}
    ours = {f"CBMIR_{each.name.upper()}": str(getattr(settings, each.name)) for each in fields(settings)}
    return {**inherited, **ours, "PYTHONUNBUFFERED": "1"}


@contextmanager
def _broker(settings: Settings) -> Iterator[str]:
    """The broker's URL; an embedded Redis is ours to stop, also one that an earlier `up` had to leave behind."""
    try:
        yield embedded_redis.ensure(settings)
    finally:
        if not settings.broker_url and _is_there(settings.data):
            embedded_redis.stop(settings)


def _is_there(data: Path) -> bool:
    """Whether the data folder is still the one that this `up` began with; others may have made it anew."""
    return (data / LOCK).exists()


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadRequest(
                f"Another `cbmir up` runs on {data}.", "Stop it, or choose another folder with --data."
            ) from error
        yield


def _check_port(settings: Settings) -> None:
    deadline = time.monotonic() + PORT_SECONDS
    while trouble := _trouble_with_port(settings):
        if trouble.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            raise BadRequest(
                f"Port {settings.port} of {settings.host} cannot be used: {trouble.strerror}.",
                "Stop what uses it, or choose another with --port.",
            ) from trouble
        time.sleep(ASK_SECONDS)


def _trouble_with_port(settings: Settings) -> OSError | None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return error
    return None


class _Watch:
    """Says once that the web is ready, starts a Redis again that has died, and ends all where the data is gone."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._announce = _Announcement(settings, say)
        self._settings = settings
        self._look_at = time.monotonic() + REDIS_SECONDS
        self._redis = embedded_redis.process(settings)

    def __call__(self) -> None:
        self._announce()
        if not _is_there(self._settings.data):
            self._end()
        if not self._settings.broker_url and time.monotonic() >= self._look_at:
            self._revive()
            self._look_at = time.monotonic() + REDIS_SECONDS

    def _end(self) -> None:
        """Nothing that would be done without the data folder could be kept.

        Raises:
            cbmir.errors.Unavailable: always.
        """
        if self._redis:
            embedded_redis.kill(self._redis)
        raise Unavailable(
            f"The data folder {self._settings.data} was removed while cbmir ran on it.",
            "Put it back, from a copy if need be, then start `cbmir up` again.",
        )

    def _revive(self) -> None:
        if not embedded_redis.is_gone(self._settings):
            return
        log.warning("the embedded Redis is gone and is started again")
        try:
            embedded_redis.ensure(self._settings)
            self._redis = embedded_redis.process(self._settings)
        except Unavailable as error:  # tried again in a moment; until then jobs wait in the database
            log.warning("%s", error.sentence)


class _Announcement:
    """Says once that the web is ready."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
        self._port = settings.port
        self._headers = _credentials(settings)
        self._ask_at = float("-inf")
        self._say: Callable[[str], None] | None = say

    def __call__(self) -> None:
        if self._say and self._is_due() and self._is_ready():
            self._say(f"cbmir is ready: http://{self._host}:{self._port}")
            self._say = None

    def _is_due(self) -> bool:
        if time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + ASK_SECONDS
        return True

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=2)
        try:
            connection.request("GET", "/readyz", headers=self._headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _credentials(settings: Settings) -> dict[str, str]:
    if not (settings.username and settings.password):
        return {}
    pair = f"{settings.username}:{settings.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
