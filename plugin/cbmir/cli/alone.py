"""A process and those that it started, whose standard input is a pipe of its own: they notice when it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

GRACE_SECONDS = 8.0
"""What there is to end in good order."""


def when_alone(act: Callable[[], object]) -> None:
    """Do this once the process that started this one is gone, even killed: the pipe ends with it."""
    pipe = sys.stdin.fileno()

    def wait() -> None:
        while os.read(pipe, 1):  # past the buffer of sys.stdin, whose lock nobody may hold when Python ends
            pass
        act()

    threading.Thread(target=wait, name="companion", daemon=True).start()


def end_when_alone() -> None:
    """End this process as by SIGTERM once the one that started it is gone, and by force where that takes long."""

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    when_alone(end)


def let_go(process: subprocess.Popen[bytes]) -> None:
    """End the pipe of a process that we started: it takes us for gone."""
    if process.stdin:
        process.stdin.close()
