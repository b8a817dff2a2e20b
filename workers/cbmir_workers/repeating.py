"""What a worker process does again and again beside its jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from cbmir.errors import CbmirError
from cbmir_workers.trouble import Trouble

log = logging.getLogger(__name__)


class Repeating(Thread):
    """A thread that does something again and again, until it is told to stop."""

    def __init__(
        self, name: str, work: Callable[[], object], stop: Event, *, every: float, first: float = 0.0
    ) -> None:
        """Set it up; `start` begins.

        Args:
            name: of what is done, for the log.
            work: does it once.
            stop: set, it ends the thread.
            every: seconds between one time and the next.
            first: seconds before the first time.
        """
        super().__init__(name=name, daemon=True)
        self._work, self._told, self._first, self._every = work, stop, first, every
        self._trouble = Trouble(log, name)

    def run(self) -> None:
        """Go on though once may fail: the database, the broker or the disk may be back at the next time."""
        pause = self._first
        while not self._told.wait(pause):
            try:
                self._work()
                self._trouble.over()
            except (CbmirError, OSError) as error:
                self._trouble.met(error)
            pause = self._every
