"""Processes that do beside this one what it does, and end with it, however it ends."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType

from cbmir.cli.alone import let_go

GRACE_SECONDS = 10.0
"""What they have to end in good order."""


class Companions:
    """So many further processes of this very command line, with one more option; a context manager.

    Each has a pipe of ours as its standard input: where this process is gone, even killed, the pipe ends, and they
    end too (`cbmir.cli.alone`).
    """

    def __init__(self, count: int, option: str) -> None:
        self._command = [sys.executable, "-m", "cbmir", *sys.argv[1:], option]
        self._processes = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            self._command, stdin=subprocess.PIPE, start_new_session=True
        )

    def tend(self) -> None:
        """Start again what has died."""
        for place, process in enumerate(self._processes):
            if process.poll() is not None:
                let_go(process)
                self._processes[place] = self._start()

    def __enter__(self) -> Companions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            let_go(process)
        for process in self._processes:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
