"""Features of what has just been ingested, extracted beside the fetching of the next objects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Event, Thread
from types import TracebackType
from typing import Any

from cbmir.errors import CbmirError, EmptyGallery, JobCancelled, NotFound
from cbmir.services.features.extract import extract, extract_new
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.lacking import lacks_any
from cbmir.store.session import Database

log = logging.getLogger(__name__)


class Extraction:
    """A thread that extracts whenever it is woken; with the end of the block it finishes what it was woken for.

    Without an encoder, or without images, there is nothing to do. What fails otherwise is logged: the features that
    are missing then are extracted with the next ones, or by `cbmir extract`.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._work = (database, settings)
        self._woken, self._ending, self._stopped = Event(), Event(), _Stop()
        self._thread = Thread(target=self._run, name="extraction", daemon=True)

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    def __enter__(self) -> Extraction:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.now = isinstance(error, JobCancelled | KeyboardInterrupt)
        self._ending.set()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._woken.wait()
            ending = self._ending.is_set()
            self._woken.clear()
            self._extract(completely=ending)
            if ending or (self._ending.is_set() and not self._woken.is_set()):
                return

    def _extract(self, *, completely: bool) -> None:
        database, settings = self._work
        try:
            extract_new(database, settings, self._stopped)
            if completely and self._lacks_any():
                extract(database, settings, None, self._stopped)
        except (EmptyGallery, NotFound, JobCancelled) as error:
            log.debug("no features were extracted: %s", error.code)
        except CbmirError as error:
            log.warning("features were not extracted: %s", error.sentence)

    def _lacks_any(self) -> bool:
        """Whether some were left out, as where another run was cut off."""
        with self._work[0].read() as session:
            return lacks_any(session, encoders.resolve(session, None).id)


class _Stop:
    """Progress that nobody sees, and that ends the work when it should end."""

    now = False

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        if self.now:
            raise JobCancelled("The job was cancelled.")
