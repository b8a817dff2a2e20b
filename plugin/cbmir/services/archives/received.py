"""What was sent to `cbmir archive serve`: recorded from the folder where the receiver keeps it until then."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path

from sqlalchemy.orm import Session

from cbmir.archive.dimse.landing import resting_place, settle
from cbmir.archive.folder import source_of
from cbmir.errors import CbmirError, UnusableInput
from cbmir.progress import Progress
from cbmir.services.archives.backlog import TAKEN, waiting
from cbmir.services.archives.sync import AT_ONCE
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.ingest import ingest_listed
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store.session import Database


def record_received(
    database: Database,
    settings: Settings,
    progress: Progress,
    isolation: Isolation,
    *,
    after: Callable[[], None] = lambda: None,
    enough: Callable[[], bool] = lambda: False,
) -> Ingested:
    """Record what was received, until nothing is left or it is enough.

    One that is sent again takes its predecessor's place. What is recorded or set aside is removed, or, where the
    receiver keeps it, moved to where it is kept: that place then is where the image came from, and is read again
    from.

    Args:
        database: the installation's.
        settings: the installation's.
        progress: told after each object.
        isolation: where they are converted; it stays open.
        after: called after each piece of work, to extract features.
        enough: whether to begin with no more of them; the rest stays where it is.

    Raises:
        cbmir.errors.JobCancelled: if asked to stop; the rest stays where it is.
        cbmir.errors.Unavailable: if the database or the disk fails; the rest stays where it is.
    """
    recorded = Ingested()
    while not enough() and (files := _taken(settings)):
        kept = resting_place(files[0]) is not None
        account = _Account({str((kept and resting_place(file)) or file): file for file in files})
        entries = (
            source_of(file, file.name, origin, settings, is_ours=True)
            for origin, file in takewhile(lambda _: not enough(), account.files.items())
        )
        borrowed = None if kept else files[0].parent
        piece = ingest_listed(database, settings, entries, len(files), account, progress, isolation, borrowed)
        recorded += piece
        after()
        if piece.failed == len(files):
            break
    return recorded


def _taken(settings: Settings) -> list[Path]:
    """Files of the receiver, moved aside: one that is sent again meanwhile is another file then."""
    taken = settings.received / TAKEN
    left = _some(taken)  # of a worker that was killed
    if left:
        return left
    taken.mkdir(parents=True, exist_ok=True)
    return [file.replace(taken.absolute() / file.name) for file in _some(settings.received)]


def _some(folder: Path) -> list[Path]:
    return list(islice(waiting(folder), AT_ONCE))


@dataclass(frozen=True)
class _Account:
    """Accounts for received files (`cbmir.services.ingestion.run.Ledger`); `lost`: those that could not be read."""

    files: dict[str, Path]
    lost: set[str] = field(default_factory=set)

    def is_new(self, origin: str) -> bool:
        return False  # what is sent twice is not converted twice

    def wanted(self, session: Session, origins: Collection[str]) -> Collection[str]:
        return origins

    def recorded(self, session: Session, origins: Collection[str]) -> None:
        """Nothing is to be noted."""

    def failed(self, session: Session, origin: str, error: CbmirError) -> None:
        if not isinstance(error, UnusableInput):
            self.lost.add(origin)

    def done(self, origin: str) -> None:
        if origin not in self.lost:
            settle(self.files[origin])
