"""The use case: files that were set aside are read again: a newer version, or a mended file, may be of use."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cbmir.archive.folder import Source, Unlisted, sources_at
from cbmir.errors import CbmirError, NotFound, UnusableInput
from cbmir.progress import Progress
from cbmir.services.ingestion.again.from_archives import ask_again
from cbmir.services.ingestion.ingest import ingest_entries
from cbmir.services.ingestion.origin import object_of
from cbmir.services.ingestion.run import Ingested, Report
from cbmir.settings import Settings
from cbmir.store import quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Quarantined, now
from cbmir.store.writing import in_pieces

AT_ONCE = 5_000
"""Rows that are worked on at one time: few enough for one statement of either database."""

STALE_SECONDS = 3600
"""Kept bytes that no row names are forgotten after this time: a younger file's row may not be written yet."""


KEPT = re.compile(r"[/\\]([0-9a-f]{64})(?:!|$)")
"""The name of kept bytes within an origin: their SHA-256."""


@dataclass(frozen=True)
class Retried:
    """What became of the files.

    Attributes:
        ingested: those that were read again.
        asked: objects whose archive is asked for them again; each stays in quarantine until it comes.
        gone: those no longer where they were; they stay in quarantine.
    """

    ingested: Ingested = field(default_factory=Ingested)
    asked: int = 0
    gone: int = 0

    def __add__(self, other: Retried) -> Retried:
        return Retried(self.ingested + other.ingested, self.asked + other.asked, self.gone + other.gone)

    def as_json(self) -> dict[str, int]:
        """The counts, those of an ingestion among them."""
        return {**self.ingested.as_json(), "asked": self.asked, "gone": self.gone}


def retry(
    database: Database,
    settings: Settings,
    progress: Progress,
    *,
    ids: Collection[int] | None = None,
    code: str | None = None,
    report: Report | None = None,
) -> Retried:
    """Read files again from where they were, by the ordinary ingestion, without labels.

    An object of an archive is fetched again by whoever follows the archive.

    What can be used now leaves the quarantine; what cannot stays with the reason of today. To do it twice does no
    harm: what has left is passed over. The kept bytes of an upload are removed when nothing needs them any more.

    Args:
        database: the installation's.
        settings: the installation's.
        progress: told after each file, for some thousand rows at a time.
        ids: of which rows; None for all.
        code: of which reason; None for any.
        report: told of an origin, and why what is there was set aside again, failed or is gone.

    Raises:
        cbmir.errors.JobCancelled: if asked to stop; what is recorded stays.
        cbmir.errors.Unavailable: if the database or the disk fails; what is recorded stays.
    """
    with database.read() as session:
        wanted = quarantine.ids(session, code=code, among=ids)
    retried = Retried()
    for some in in_pieces(wanted, AT_ONCE):
        retried += _Retrial(database, settings, report).run(some, progress)
    return retried


@dataclass
class _Retrial:
    """One batch: `kept` are the origins of files that could not be had, whose rows stay as they are."""

    database: Database
    settings: Settings
    report: Report | None
    kept: set[str] = field(default_factory=set)
    gone: int = 0

    def run(self, ids: Collection[int], progress: Progress) -> Retried:
        began = now()
        with self.database.read() as session:
            rows = quarantine.by_id(session, ids)
        theirs = {row.origin for row in rows if object_of(row.origin)}
        entries = [entry for row in rows if row.origin not in theirs for entry in self._entries(row)]
        ingested = ingest_entries(self.database, self.settings, entries, progress, self._note)
        asked = self._ask(theirs)
        with self.database.write() as session:
            quarantine.forget(session, [row.id for row in rows if row.origin not in self.kept], before=began)
        forget_unused(self.database, self.settings, [row.origin for row in rows])
        return Retried(ingested, asked, self.gone)

    def _ask(self, origins: set[str]) -> int:
        """Have objects of archives fetched again; how many."""
        self.kept |= origins
        lost = ask_again(self.database, origins)
        for origin, error in lost.items():
            self.gone += 1
            self._note(origin, error)
        return len(origins) - len(lost)

    def _entries(self, row: Quarantined) -> Iterator[Source | Unlisted]:
        try:
            yield from sources_at(row.origin, row.file_name, self.settings)
        except NotFound as error:
            self.gone += 1
            self._note(row.origin, error)

    def _note(self, origin: str, error: CbmirError) -> None:
        if not isinstance(error, UnusableInput):
            self.kept.add(origin)
        if self.report:
            self.report(origin, error)


def forget_unused(database: Database, settings: Settings, origins: Collection[str]) -> None:
    """Remove the kept bytes of uploads that no row in quarantine names: those of `origins`, and all old ones."""
    kept = {settings.set_aside / found[1] for found in map(KEPT.search, origins) if found}
    with database.read() as session:
        unused = [path for path in kept | _stale(settings) if not quarantine.uses(session, path.name)]
    for path in unused:
        path.unlink(missing_ok=True)


def _stale(settings: Settings) -> set[Path]:
    if not settings.set_aside.is_dir():
        return set()
    oldest = time.time() - STALE_SECONDS
    return {path for path in settings.set_aside.iterdir() if path.is_file() and path.stat().st_mtime < oldest}
