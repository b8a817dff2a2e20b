"""How many frames the archive holds, told at once: a database that counts a million rows takes its time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from cbmir.store import frames
from cbmir.store.session import Database

COUNTED_AGAIN_SECONDS = 60.0
"""So long a count is believed: a frame that never had a feature may have been deleted meanwhile."""


@dataclass(frozen=True)
class _Count:
    """A count of all frames up to an id, and the stamp of what it was counted for."""

    stamp: tuple[str, int]
    frames: int
    highest: int
    until: float


class Counts:
    """The counts that this process holds; threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: WeakKeyDictionary[Database, _Count] = WeakKeyDictionary()

    def of(self, database: Database, session: Session, encoder_id: str, generation: int) -> int:
        """Frames of the archive: those counted before, and those that came since.

        All are counted again where an encoder's features have changed, as with every deletion of frames that have
        one, and once a minute.

        Args:
            database: of the installation.
            session: one that reads.
            encoder_id, generation: of the features that the number is compared with.
        """
        with self._lock:
            held = self._held.get(database)
        if held is None or held.stamp != (encoder_id, generation) or held.until < time.monotonic():
            until = time.monotonic() + COUNTED_AGAIN_SECONDS
            counted, highest = frames.count_and_highest(session)
            with self._lock:
                self._held[database] = _Count((encoder_id, generation), counted, highest, until)
            return counted
        return held.frames + frames.count(session, above=held.highest)


COUNTS = Counts()
"""Those of this process."""
