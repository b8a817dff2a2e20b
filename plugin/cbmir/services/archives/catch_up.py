"""`archive sync`: an archive is swept and fetched by whoever asks, unless a worker follows it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from cbmir.errors import CbmirError
from cbmir.progress import Progress
from cbmir.services.archives.extraction import Extraction
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.ingestion import Ingested
from cbmir.services.isolation import Isolation
from cbmir.store import archives
from cbmir.store.session import Database

LEASE_SECONDS = 30.0
"""After this silence of its follower another process may follow an archive."""

RENEW_SECONDS = 10.0
"""How often the lease is renewed."""


def catch_up(followed: Followed, progress: Progress) -> Ingested | None:
    """Sweep an archive, delete what is gone, fetch what is new, and extract its features.

    Returns:
        What was fetched; None if a worker follows the archive: it was asked to sweep.

    Raises:
        as `cbmir.services.archives.sweep.sweep` and `synchronise`; the archive's status says it too.
    """
    with followed.database.write() as session:
        archives.change(session, followed.id, sweep_wanted=True)
    with leased(followed.database, followed.id) as mine:
        if not mine:
            return None
        try:
            with Isolation() as isolation, Extraction(followed.database, followed.settings) as extraction:
                Follower(followed).look()
                synced = synchronise(followed, progress, isolation, after=extraction.wake)
        except CbmirError as error:
            with followed.database.write() as session:
                archives.failed(session, followed.id, error.code, error.sentence)
            raise
        with followed.database.write() as session:
            archives.answered(session, followed.id)
        return synced


@contextmanager
def leased(database: Database, archive_id: int) -> Iterator[bool]:
    """Whether the archive is ours to follow while the block runs: no other process does then."""
    name, ended = secrets.token_hex(8), Event()
    with database.write() as session:
        mine = archives.lease(session, archive_id, name, LEASE_SECONDS)
    thread = Thread(target=_renew, args=(database, archive_id, name, ended), daemon=True)
    thread.start()
    try:
        yield mine
    finally:
        ended.set()
        thread.join()
        with database.write() as session:
            archives.release(session, name, archive_id)


def _renew(database: Database, archive_id: int, name: str, ended: Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        with database.write() as session:
            archives.lease(session, archive_id, name, LEASE_SECONDS)
