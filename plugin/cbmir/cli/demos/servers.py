"""Programs that run beside a demonstration, and end with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cbmir.errors import BadRequest, Unavailable
from cbmir.settings import Settings

LOCAL = "127.0.0.1"
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 60.0, 40.0, 0.1


@dataclass(frozen=True)
class Server:
    """A program that runs beside us, and where it writes what it has to say."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Complain if it has ended.

        Raises:
            cbmir.errors.Unavailable: if it has.
        """
        if self.process.poll() is not None:
            raise Unavailable(f"{self.name} has ended by itself.", f"Its log says why: {self.log}")

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until it is ready.

        Raises:
            cbmir.errors.Unavailable: if it ends, or is not ready within a minute.
        """
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.name} does not begin to answer.", f"Its log may say why: {self.log}")
            time.sleep(POLL_SECONDS)


@contextmanager
def running(name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """A program that ends with the block, and not by a Ctrl-C that is meant for us."""
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own, or the Orthanc of this machine
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield Server(name, process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def up(settings: Settings) -> Iterator[Server]:
    """The web and all workers of an installation, as `cbmir up` runs them.

    Raises:
        cbmir.errors.BadRequest: if the web's port is taken.
        cbmir.errors.Unavailable: if they do not start.
    """
    if not is_free(settings.port):
        raise BadRequest(f"Port {settings.port} is taken.", "Stop what uses it, or choose another with --port.")
    others = {name: value for name, value in os.environ.items() if not name.startswith("CBMIR_")}
    environment = {**others, "CBMIR_DATA": str(settings.data.absolute()), "CBMIR_PORT": str(settings.port)}
    command = [sys.executable, "-m", "cbmir", "up"]
    with running("cbmir up", command, settings.data / "up.log", environment) as server:
        server.wait(lambda: "cbmir is ready" in server.log.read_text("utf-8", errors="replace"))
        yield server


def is_free(port: int) -> bool:
    """Whether nobody listens on this TCP port."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether somebody listens on this TCP port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex((LOCAL, port)) == 0
