"""`archive sync`: an archive is looked at and fetched from by whoever asks, unless a worker follows it."""

from __future__ import annotations

from cbmir.errors import CbmirError
from cbmir.progress import Progress
from cbmir.services.archives.extraction import Extraction
from cbmir.services.archives.leasing import leased
from cbmir.services.archives.looking import Looking
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.steering import compare
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Ingested
from cbmir.store import archives


def catch_up(followed: Followed, progress: Progress) -> Ingested | None:
    """Look at an archive, delete what is gone, meanwhile fetch what is new, and extract its features.

    Returns:
        What was fetched; None if a worker follows the archive: it was asked to sweep.

    Raises:
        as `Looking` and `synchronise`; the archive's status says it too.
    """
    compare(followed.database, followed.name)
    with leased(followed.database, followed.id) as lease:
        if not lease.held:
            return None
        try:
            with (
                Isolation() as isolation,
                Extraction(followed.database, followed.settings) as extraction,
                Looking(followed) as looking,
            ):
                synced = synchronise(
                    followed, progress, isolation, after=extraction.wake, more_may_come=looking.goes_on
                )
        except CbmirError as error:
            with followed.database.write() as session:
                archives.failed(session, followed.id, error.code, error.sentence)
            raise
        with followed.database.write() as session:
            archives.answered(session, followed.id)
        return synced
