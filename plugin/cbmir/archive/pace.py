"""How often an archive is asked, by all who ask it in this process: who follows it, and who fetches from it."""

from __future__ import annotations

import time
from functools import cache
from threading import Lock


class Pace:
    """Turns that are taken one after the other, evenly apart; safe for several threads.

    Args:
        per_second: turns a second at most; 0 for no limit.
    """

    def __init__(self, per_second: float) -> None:
        self._apart = 1 / per_second if per_second else 0.0
        self._lock, self._next = Lock(), 0.0

    def wait(self) -> None:
        """Wait for a turn."""
        if self._apart:
            with self._lock:
                time.sleep(max(0.0, self._next - time.monotonic()))
                self._next = time.monotonic() + self._apart


@cache
def pace(_archive: str, per_second: float) -> Pace:
    """The one pace at which the archive of a name is asked."""
    return Pace(per_second)
