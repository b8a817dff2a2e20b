"""What has to go once a day though no job and no deletion finds it: what killed processes left, features that were
deleted and still lie in an index, and searches that are old."""

from __future__ import annotations

import logging
from threading import Event

from cbmir import files
from cbmir.services.archives import sync
from cbmir.services.ingestion.strays import discard_strays
from cbmir.services.reporting import originals
from cbmir.services.retrieval.forgetting import forget_old
from cbmir.services.retrieval.indexes.index_files import purge
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir_workers.repeating import Repeating

FIRST_SECONDS, EVERY_SECONDS = 3600.0, 24 * 3600.0
"""After its start, and from then on."""

LEFT_SECONDS = 24 * 3600.0
"""So long nothing is added to what a living process still writes."""

log = logging.getLogger(__name__)


def keep_house(database: Database, settings: Settings) -> None:
    """Do it once.

    Raises:
        cbmir.errors.CbmirError, OSError: if database, disk or index fail; the next time makes up for it.
    """
    left = discard_left(settings)
    forgotten = forget_old(database, settings)
    strays = discard_strays(database, settings)
    purged = _purge(database, settings)
    log.info(
        "housekeeping: %d leftovers, %d searches and %d pictures without a row removed, %d indexes made anew",
        *(left, forgotten, strays, purged),
    )


def discard_left(settings: Settings) -> int:
    """Remove files and folders of processes that died; some hold patients' objects as they are. How many."""
    whole = (settings.set_aside, settings.indexes, settings.weights, settings.training)
    left = [(settings.spool, f"{sync.PREFIX}*"), (settings.data, f"{originals.PREFIX}*")]
    left += [(folder, files.DRAFTS) for folder in whole]
    return sum(files.discard_left(folder, pattern, LEFT_SECONDS) for folder, pattern in left)


def _purge(database: Database, settings: Settings) -> int:
    with database.read() as session:
        kept = [encoder.id for encoder in encoders.listing(session)]
    return sum(purge(database, settings, encoder_id) for encoder_id in kept)


def housekeeper(database: Database, settings: Settings, stop: Event) -> Repeating:
    """The thread of a worker process that keeps house; the first time is after an hour."""

    def work() -> None:
        keep_house(database, settings)

    return Repeating("housekeeping", work, stop, every=EVERY_SECONDS, first=FIRST_SECONDS)
