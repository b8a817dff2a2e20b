"""What takes hours lets others that wait for the same worker go first, and goes on behind them where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cbmir.errors import JobCancelled
from cbmir.progress import Progress
from cbmir.store import encoders, jobs
from cbmir.store.session import Database
from cbmir.types import JobKind
from cbmir_workers.queues import ROLES

LOOK_SECONDS = 5.0
"""How often who prepares an encoder looks whether other work waits."""

TURN_SECONDS = 15.0
"""How long an archive, or what was received, has a worker before another of them that waits: received objects may
not wait for the end of a first sync."""

OTHERS_FIRST = ("Other work goes first.", "This goes on after it.")


def giving_way(database: Database, encoder_id: str | None, progress: Progress) -> Progress:
    """The progress of an extraction, which ends it for now while other work waits, unless the encoder answers.

    The job then goes back to its queue, behind the others, and on where it was: an extraction is resumable.

    Raises:
        cbmir.errors.NotFound: if there is no encoder.
    """
    with database.read() as session:
        active = encoders.resolve(session, None).id

    def others_wait() -> bool:
        with database.read() as session:
            now_active = encoders.resolve(session, None).id
            waiting = jobs.waiting(session, ROLES["index"])
        return any(job.kind != JobKind.EXTRACT or job.parameters.get("encoder") == now_active for job in waiting)

    return progress if encoder_id in (None, active) else _GivingWay(progress, others_wait)


def taking_turns(database: Database, progress: Progress) -> Turn:
    """The progress of a job that fetches from an archive, or records what was received: its turn ends while another
    such job waits."""

    def others_wait() -> bool:
        with database.read() as session:
            return bool(jobs.waiting(session, ROLES["archive"]))

    return Turn(progress, others_wait)


class Turn:
    """Progress that says when others have waited long enough: then nothing more is begun, and what was begun is
    brought to its end. What that does not end within another turn is begun again in the next one."""

    def __init__(self, progress: Progress, others_wait: Callable[[], bool]) -> None:
        self._progress, self._others_wait = progress, others_wait
        self._looked_at, self._over = time.monotonic(), False

    def is_over(self) -> bool:
        """Whether others have their turn now."""
        return self._over

    def end(self) -> None:
        """Let others have their turn.

        Raises:
            cbmir.errors.JobCancelled: if it is over; the job goes back to its queue, behind the others.
        """
        if self._over:
            raise JobCancelled(*OTHERS_FIRST)

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """See `cbmir.progress.Progress.update`.

        Raises:
            cbmir.errors.JobCancelled: also if it was over a whole turn ago.
        """
        self._progress.update(done, total, message, detail)
        if time.monotonic() - self._looked_at >= TURN_SECONDS:
            self._looked_at = time.monotonic()
            self.end()
            self._over = self._others_wait()


class _GivingWay:
    """Asks every few seconds whether others wait."""

    def __init__(self, progress: Progress, others_wait: Callable[[], bool]) -> None:
        self._progress, self._others_wait = progress, others_wait
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
                raise JobCancelled(*OTHERS_FIRST)
