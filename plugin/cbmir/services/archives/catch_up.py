"""`archive sync`: an archive is looked at and fetched from by whoever asks, unless a worker follows it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from cbmir.progress import Progress
from cbmir.services.archives.extraction import Extraction
from cbmir.services.archives.leasing import leased
from cbmir.services.archives.looking import Looking
from cbmir.services.archives.noting import noting
from cbmir.services.archives.registered import Followed, followed, refuse_removed
from cbmir.services.archives.steering import compare
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store import archives
from cbmir.store.session import Database


@dataclass(frozen=True)
class CaughtUp:
    """What became of an archive's objects.

    Attributes:
        fetched: those that were new or changed.
        deleted: images that are no more, as the archive holds them no longer, or its rules do not want them.
    """

    fetched: Ingested
    deleted: int

    def as_json(self) -> dict[str, int]:
        """The counts as `archive sync --json` gives them."""
        return {**self.fetched.as_json(), "deleted": self.deleted}


def sync(
    database: Database,
    settings: Settings,
    name: str,
    progress: Progress,
    *,
    again: bool = False,
    accept_deletions: bool = False,
) -> CaughtUp | None:
    """Open the archive of this name and `catch_up` with it.

    Args:
        database: the installation's.
        settings: the installation's.
        name: the archive's.
        progress: told after each object.
        again, accept_deletions: as for `cbmir.services.archives.steering.compare`.

    Returns:
        as `catch_up`.

    Raises:
        cbmir.errors.NotFound: if there is no such archive.
        cbmir.errors.BadRequest: if it cannot be opened, as where a file that it names is lost; its status says it.
        as `catch_up`.
    """
    compare(database, name, again=again, accept_deletions=accept_deletions)
    with ExitStack() as open_until_then:
        with noting(database, name):
            archive = open_until_then.enter_context(followed(database, settings, name))
        return catch_up(archive, progress)


def catch_up(followed: Followed, progress: Progress) -> CaughtUp | None:
    """Look at an archive, delete what is gone, meanwhile fetch what is new, and extract its features.

    Returns:
        What was fetched and deleted; None if a worker follows the archive: it was asked to sweep.

    Raises:
        as `Looking` and `synchronise`; the archive's status says it too.
        cbmir.errors.NotFound: if the archive was removed meanwhile.
    """
    compare(followed.database, followed.name)
    with leased(followed.database, followed.id) as lease:
        if not lease.held:
            return None
        with (
            noting(followed.database, followed.name),
            Isolation() as isolation,
            Extraction(followed.database, followed.settings) as extraction,
            Looking(followed) as looking,
        ):
            synced = synchronise(
                followed, progress, isolation, after=extraction.wake, more_may_come=looking.goes_on
            )
        with followed.database.write() as session:
            refuse_removed(session, followed)
            archives.answered(session, followed.id)
        return CaughtUp(synced, looking.deleted)
