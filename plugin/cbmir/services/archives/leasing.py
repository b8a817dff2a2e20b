"""An archive is followed by one process at a time: whoever holds its lease, which a thread renews."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from cbmir.errors import CbmirError
from cbmir.store import archives
from cbmir.store.session import Database

LEASE_SECONDS = 30.0
"""After this silence of its follower another process may follow an archive."""

RENEW_SECONDS = 10.0
"""How often the lease is renewed."""

log = logging.getLogger(__name__)


class Lease:
    """The right to follow an archive. However long a piece of work takes, a thread keeps it."""

    def __init__(self, database: Database, archive_id: int) -> None:
        self._database, self._archive_id = database, archive_id
        self._name, self._ended = secrets.token_hex(8), Event()
        self._until = float("-inf")

    @property
    def held(self) -> bool:
        """Whether the archive is ours: not where another process was quicker, or the archive is paused."""
        return time.monotonic() < self._until

    def renew(self) -> None:
        """Take the archive for another while, if it is ours or free.

        Raises:
            cbmir.errors.CbmirError: if the database does not answer; what is held stays so until its time is over.
        """
        began = time.monotonic()
        with self._database.write() as session:
            mine = archives.lease(session, self._archive_id, self._name, LEASE_SECONDS)
        self._until = began + LEASE_SECONDS if mine else float("-inf")

    def keep(self) -> None:
        """Renew it until it is lost, or `end`ed."""
        while self.held and not self._ended.wait(RENEW_SECONDS):
            try:
                self.renew()
            except CbmirError as error:
                log.warning("the lease of an archive is not renewed: %s", error.code)

    def end(self) -> None:
        """Keep it no longer."""
        self._ended.set()

    def release(self) -> None:
        """Let another process follow the archive."""
        with self._database.write() as session:
            archives.release(session, self._name, self._archive_id)


@contextmanager
def leased(database: Database, archive_id: int) -> Iterator[Lease]:
    """The lease of an archive, which may not be had; while the block runs no other process has it.

    Raises:
        cbmir.errors.CbmirError: if the database does not answer.
    """
    lease = Lease(database, archive_id)
    lease.renew()
    thread = Thread(target=lease.keep, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.end()
        thread.join()
        lease.release()
