"""How a running job tells the database how far it is and that it lives, and learns that it should stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from cbmir.errors import JobCancelled
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir_workers.trouble import Trouble

WRITE_SECONDS = 1.0
"""The row is written at most this often: a person cannot see more, and SQLite has one writer."""

log = logging.getLogger(__name__)


class JobProgress:
    """A `cbmir.progress.Progress` that keeps a job's row up to date.

    Args:
        database: the installation's.
        job: as it was claimed.
        stop: set when this process should end: the job is then interrupted, to go on elsewhere.
    """

    def __init__(self, database: Database, job: Job, stop: Event) -> None:
        self._database = database
        self._job = job
        self._stop = stop
        self._latest: tuple[int, int, str, Mapping[str, Any] | None] = (job.done, job.total, job.message, None)
        self._unwritten = False
        self._written_at = float("-inf")
        self.cancelled = Event()

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """See `cbmir.progress.Progress.update`; writes at most about once a second.

        Raises:
            cbmir.errors.JobCancelled: if the job should stop, or this process.
        """
        self._latest = (done, total, message, self._latest[3] if detail is None else dict(detail))
        self._unwritten = True
        if time.monotonic() - self._written_at >= WRITE_SECONDS:
            self.flush()
        if self.cancelled.is_set():
            raise JobCancelled("The job was cancelled.")
        if self._stop.is_set():
            raise JobCancelled("The worker was stopped.", "The job goes on when a worker runs again.")

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._unwritten:
            with self._database.write() as session:
                self._heed(jobs.report(session, self._job.id, *self._latest, claimed=self._job.started_at))
            self._unwritten = False
            self._written_at = time.monotonic()

    def beat(self) -> None:
        """Say that the job lives, and hear whether it should stop; the next `update` acts on it."""
        with self._database.write() as session:
            self._heed(jobs.beat(session, self._job.id, claimed=self._job.started_at))

    def _heed(self, stop: bool) -> None:
        if stop:
            self.cancelled.set()


@contextmanager
def heartbeat(progress: JobProgress, every: float) -> Iterator[None]:
    """Say that the job lives, every so many seconds, from a thread, while the block runs."""
    finished = Event()
    thread = Thread(target=_beat, args=(progress, every, finished), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _beat(progress: JobProgress, every: float, finished: Event) -> None:
    trouble = Trouble(log, "heartbeat")
    while not finished.wait(every):
        try:
            progress.beat()
            trouble.over()
        except Exception as error:  # noqa: BLE001 - the next may get through; if none does, the sweeper takes over
            trouble.met(error)
