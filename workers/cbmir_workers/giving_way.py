"""Preparing another encoder is the work of hours: it lets whatever else waits for this kind of worker go first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from cbmir.errors import JobCancelled
from cbmir.progress import Progress
from cbmir.store import encoders, jobs
from cbmir.store.session import Database
from cbmir.types import JobKind
from cbmir_workers.client import ROLES

LOOK_SECONDS = 5.0
"""How often it is looked whether other work waits."""

BEFORE = frozenset(ROLES["index"])


def giving_way(database: Database, encoder_id: str | None, progress: Progress) -> Progress:
    """The progress of an extraction, which ends it for now while other work waits, unless the encoder answers.

    The job then goes back to its queue, behind the others, and on where it was: an extraction is resumable.

    Raises:
        cbmir.errors.NotFound: if there is no encoder.
    """
    with database.read() as session:
        active = encoders.resolve(session, None).id
        return progress if encoder_id in (None, active) else _GivingWay(database, progress)


class _GivingWay:
    def __init__(self, database: Database, progress: Progress) -> None:
        self._database, self._progress = database, progress
        self._looked_at = time.monotonic()

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """See `cbmir.progress.Progress.update`.

        Raises:
            cbmir.errors.JobCancelled: also if other work waits.
        """
        self._progress.update(done, total, message, detail)
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            if self._others_wait():
                raise JobCancelled("Other work goes first.", "The extraction goes on after it.")

    def _others_wait(self) -> bool:
        with self._database.read() as session:
            active = encoders.resolve(session, None).id
            waiting = jobs.waiting(session, BEFORE)
        return any(job.kind != JobKind.EXTRACT or job.parameters.get("encoder") == active for job in waiting)
