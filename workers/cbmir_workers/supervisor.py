"""Keeps a few child processes running until it is told to stop, or one of them cannot be kept alive."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from cbmir.cli.alone import let_go
from cbmir.errors import Unavailable

QUICK_SECONDS = 10.0
"""A child that lives shorter than this died quickly."""

MOST_QUICK_DEATHS = 4
"""So many quick deaths in a row of a child that never lived longer mean that starting it again will not help. What
ends one that did, such as a full disk, may pass."""

FIRST_PAUSE_SECONDS, MOST_DOUBLINGS = 0.5, 6
"""Doubled with each quick death before the child is started again, but so often at most: half a minute then."""

GRACE_SECONDS = 8.0
"""What a child has to end in good order; afterwards it is killed, and its job is found by the sweeper."""

POLL_SECONDS = 0.1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Program:
    """A child to run: `cbmir` with these arguments, in this environment, which ends when we are gone."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, so that Ctrl-C at the terminal reaches its supervisor alone; its
        standard input ends with us, however we end (`cbmir.cli.alone`)."""
        command = [sys.executable, "-m", "cbmir", *self.arguments, "--beside"]
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            command, env=dict(self.environment), stdin=subprocess.PIPE, start_new_session=True
        )


class _Child:
    """One program, with how often it died."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._quick_deaths = 0
        self._has_lived = False
        self._start_at = 0.0
        self._started_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Start it if it is due, note if it died.

        Raises:
            cbmir.errors.Unavailable: if it died too often, and has never lived.
        """
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self._started_at = time.monotonic()
                self.process = self.program.start()
        elif self.process.poll() is not None:
            let_go(self.process)
            self._bury(self.process.returncode)

    def _bury(self, status: int) -> None:
        self.process = None
        quick = time.monotonic() - self._started_at < QUICK_SECONDS
        self._has_lived |= not quick
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        if self._quick_deaths >= MOST_QUICK_DEATHS and not self._has_lived:
            raise Unavailable(
                f"The {self.program.name} ended {MOST_QUICK_DEATHS} times in a row (exit status {status}).",
                "Its last words stand above; see also `cbmir doctor`.",
            )
        log.warning("the %s ended (exit status %d) and is started again", self.program.name, status)
        pause = FIRST_PAUSE_SECONDS * 2 ** min(self._quick_deaths, MOST_DOUBLINGS)
        self._start_at = time.monotonic() + pause

    def end(self, deadline: float) -> None:
        """Wait for it until the deadline, then kill it."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        let_go(self.process)


class Supervisor:
    """Runs programs side by side.

    Args:
        programs: what to run.
        watch: called about ten times a second while they run.
    """

    def __init__(self, programs: Sequence[Program], watch: Callable[[], None] = lambda: None) -> None:
        self._children = [_Child(program) for program in programs]
        self._watch = watch
        self._stopping = False

    def run(self) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP; then end all within seconds.

        Raises:
            cbmir.errors.Unavailable: if a program dies again and again from the beginning; the others are ended.
        """
        with _signals(self._stop):
            try:
                while not self._stopping:
                    for child in self._children:
                        child.tend()
                    self._watch()
                    time.sleep(POLL_SECONDS)
            finally:
                self._end()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _end(self) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for child in self._children:
            child.end(deadline)


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in STOP_SIGNALS}
    try:
        yield
    finally:
        for each, old in before.items():
            signal.signal(each, old)
