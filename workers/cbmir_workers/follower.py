"""Follows every archive, each in a thread of its own, and wakes a worker when there is something to fetch."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from itertools import takewhile
from threading import Event, Thread
from typing import Any

from celery import Celery
from sqlalchemy.orm import Session

from cbmir.errors import CbmirError, MassDeletion, NotFound, Unavailable
from cbmir.services.archives import backlog
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.leasing import Lease, leased
from cbmir.services.archives.noting import note
from cbmir.services.archives.registered import followed
from cbmir.settings import Settings
from cbmir.store import archives, jobs, tables
from cbmir.store.session import Database
from cbmir.types import JobKind, JobState
from cbmir_workers.client import enqueue
from cbmir_workers.repeating import Repeating

LOOK_SECONDS = 0.5
"""How often an archive is looked at: a part of the two seconds within which a new image should be found."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Before an archive that failed is asked again: doubled each time."""

AGAIN = "The workers ask it again by themselves."

log = logging.getLogger(__name__)


class Followers:
    """The threads of one worker process: one for each archive, and one that looks for new archives."""

    def __init__(self, database: Database, app: Celery, settings: Settings, stop: Event) -> None:
        self._database, self._app, self._settings, self._stop = database, app, settings, stop
        self._threads: dict[str, Thread] = {}
        self._thread = Repeating(
            "look at the archives", self._look_around, stop, every=LOOK_SECONDS, first=LOOK_SECONDS
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until all have ended, after `stop` was set."""
        self._thread.join()
        for thread in self._threads.values():
            thread.join()

    def _look_around(self) -> None:
        if backlog.any_waiting(self._settings):
            wake(self._database, self._app, backlog.JOB)
        with self._database.read() as session:
            names = [row.name for row in archives.unfollowed(session)]
        for name in names:
            if name not in self._threads or not self._threads[name].is_alive():
                self._threads[name] = self._thread_for(name)

    def _thread_for(self, name: str) -> Thread:
        thread = Thread(target=self._follow, args=(name,), name=f"follower of {name}", daemon=True)
        thread.start()
        return thread

    def _follow(self, name: str) -> None:
        patience = Patience(name)
        while not self._stop.is_set():
            try:
                with self._database.read() as session:
                    row = archives.get(session, name)
                with leased(self._database, row.id) as lease:
                    if not lease.held:
                        return  # another process follows it, or it is paused
                    self._keep_looking(row, lease, patience)
            except NotFound:
                return  # removed
            except CbmirError as error:
                pause = patience.pause_after(error)
                self._record(name, error)
                self._stop.wait(pause)

    def _keep_looking(self, row: tables.Archive, lease: Lease, patience: Patience) -> None:
        """Look until told to stop, the lease is lost, or the archive is described otherwise than before.

        Raises:
            cbmir.errors.CbmirError: whatever the archive or the database raises.
        """
        with followed(self._database, self._settings, row.name) as archive:
            follower, fetch = Follower(archive), partial(wake, self._database, self._app, {"archive": row.name})
            while not self._stop.is_set() and lease.held and self._is_as_before(row):
                if follower.look(fetch):
                    fetch()
                patience.regain()
                self._stop.wait(LOOK_SECONDS)

    def _is_as_before(self, row: tables.Archive) -> bool:
        with self._database.read() as session:
            return _described(archives.get(session, row.name)) == _described(row)

    def _record(self, name: str, error: CbmirError) -> None:
        try:
            note(self._database, name, error, "" if isinstance(error, MassDeletion) else AGAIN)
        except Unavailable as trouble:
            log.debug("archive %s: this cannot be recorded: %s", name, trouble.code)


class Patience:
    """How long an archive that failed is left alone. Its trouble is said once; that it is over, by who asks it."""

    def __init__(self, name: str) -> None:
        self._name, self._said = name, ""
        self._pause = FIRST_PAUSE_SECONDS

    def pause_after(self, error: CbmirError) -> float:
        """Seconds until it is asked again; twice as many the next time."""
        if error.sentence != self._said:
            log.warning("archive %s: %s", self._name, error.sentence)
        self._said = error.sentence
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return pause

    def regain(self) -> None:
        """It has answered."""
        self._said = ""
        self._pause = FIRST_PAUSE_SECONDS


def wake(database: Database, app: Celery, parameters: dict[str, Any]) -> None:
    """Queue a job that fetches what is pending, unless one waits or works already, or the last ones failed just
    now, as where the disk is full."""
    with database.read() as session:
        there = jobs.at_work(session, JobKind.SYNC, parameters) or _failed_just_now(session, parameters)
    if not there:
        enqueue(database, app, JobKind.SYNC, parameters)


def _failed_just_now(session: Session, parameters: dict[str, Any]) -> bool:
    """Whether it is too soon for another: as long as after an archive that failed so often."""
    asked = (job for job in jobs.listing(session, kind=JobKind.SYNC) if job.parameters == parameters)
    failed = list(takewhile(lambda job: job.state == JobState.FAILED, asked))
    if not failed or failed[0].finished_at is None:
        return False
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (len(failed) - 1), LONGEST_PAUSE_SECONDS)
    return timedelta() <= tables.now() - failed[0].finished_at < timedelta(seconds=pause)


def _described(row: tables.Archive) -> tuple[Any, ...]:
    return row.id, row.kind, row.address, row.options, row.sealed_credentials, row.paused
