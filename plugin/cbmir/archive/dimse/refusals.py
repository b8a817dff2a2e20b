"""What the log is told of objects that are refused: on a full disk a sender may try thousands of times."""

from __future__ import annotations

import logging
import time
from collections import Counter
from threading import Lock

from cbmir.archive.dimse.answers import WORDS

SECONDS = 60.0
"""Before the same is said again."""

LOG = logging.getLogger(__name__)


class Refusals:
    """Tells of each status at once, then at most once a minute with how many there were. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._untold: Counter[int] = Counter()
        self._due: dict[int, float] = {}

    def note(self, status: int) -> None:
        """An object was refused: say so, without its name, and how many were since it was said last."""
        with self._lock:
            self._untold[status] += 1
            if time.monotonic() < self._due.get(status, 0.0):
                return
            self._due[status] = time.monotonic() + SECONDS
            count = self._untold.pop(status)
        told = "An object was" if count == 1 else f"{count} objects were"
        LOG.warning("%s refused with status %04XH: %s.", told, status, WORDS[status])
