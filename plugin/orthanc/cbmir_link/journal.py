# SPDX-License-Identifier: AGPL-3.0-or-later
"""The events that cbmir was not told of yet, in an SQLite file."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

TABLE = """CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, orthanc_id TEXT NOT NULL UNIQUE, deleted INTEGER NOT NULL)"""


@dataclass(frozen=True)
class Batch:
    """The oldest events: what holds of each instance by the last that happened to it, in that order.

    Attributes:
        stored, deleted: Orthanc's ids.
        losses: how often events were lost that nobody will tell of; 0 if none was.
        last: number of the newest event in it.
    """

    stored: list[str]
    deleted: list[str]
    losses: int
    last: int

    def __bool__(self) -> bool:
        return bool(self.stored or self.deleted or self.losses)


class Journal:
    """Safe for several threads. It outlives a crash of Orthanc; a crash of the machine may take the last moment.

    Each opening counts as a loss: what happened before, while nobody noted it, cannot be known.

    Raises:
        OSError, sqlite3.Error: if the file cannot be made, or is something else.
    """

    def __init__(self, path: Path, limit: int) -> None:
        path.parent.mkdir(exist_ok=True)  # Orthanc makes its own folder only after it has loaded us
        path.touch(mode=0o600)
        self._lock = Lock()
        self._limit = limit
        self._losses = 1
        self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")  # no waiting for the disk at each event
        self._database.execute(TABLE)

    def note(self, orthanc_id: str, deleted: bool) -> None:
        """Keep an event, in place of an earlier one of the same instance; if that fails, it is counted as lost.

        Raises:
            sqlite3.Error: if it could not be kept.
        """
        with self._lock:
            try:
                row = "INSERT OR REPLACE INTO events (orthanc_id, deleted) VALUES (?, ?)"
                self._database.execute(row, (orthanc_id, deleted))
            except sqlite3.Error:
                self._losses += 1
                raise

    def batch(self, size: int) -> Batch:
        """Up to `size` of the oldest events; if there are more than the limit, all are dropped as lost."""
        with self._lock:
            if self._count() > self._limit:
                self._database.execute("DELETE FROM events")
                self._losses += 1
            rows = self._database.execute("SELECT * FROM events ORDER BY number LIMIT ?", (size,)).fetchall()
            stored = [orthanc_id for _, orthanc_id, deleted in rows if not deleted]
            deleted = [orthanc_id for _, orthanc_id, deleted in rows if deleted]
            return Batch(stored, deleted, self._losses, rows[-1][0] if rows else 0)

    def forget(self, batch: Batch) -> None:
        """Drop what cbmir was told of; an event that came meanwhile has a higher number and stays."""
        with self._lock:
            self._losses -= batch.losses
            self._database.execute("DELETE FROM events WHERE number <= ?", (batch.last,))

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    @property
    def lossy(self) -> bool:
        """Whether cbmir has to be told that events were lost."""
        return self._losses > 0

    def _count(self) -> int:
        return int(self._database.execute("SELECT COUNT(*) FROM events").fetchone()[0])
