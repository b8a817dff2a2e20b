"""Files into the archive's index: read and converted in parallel, recorded one object a transaction.

Whatever happens to one file, the rest goes on: it is ingested, known already, set aside in the quarantine with its
reason, or - where its bytes cannot be had at all - counted as failed and reported. A known file whose pictures an
earlier conversion made is ingested again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath

from cbmir.archive.folder import Source, Unlisted, find_sources, named_sources, sha256_of, unreadable
from cbmir.archive.manifest import FolderLabels, Labeller, Manifest, NoLabels
from cbmir.errors import CbmirError, UnusableInput
from cbmir.files import written_whole
from cbmir.progress import Progress
from cbmir.services.convert import check_settings
from cbmir.services.isolation import Isolation
from cbmir.services.reconvert import discard, renew_namesake
from cbmir.services.record import Outcome, Prepared, Recorded, prepare, record
from cbmir.settings import Settings
from cbmir.store import quarantine
from cbmir.store.session import Database

Report = Callable[[str, CbmirError], None]
"""Told of a file's origin, and why it was set aside or failed."""

Entry = Source | Unlisted


@dataclass(frozen=True)
class Ingested:
    """What became of the files: each is counted once."""

    ingested: int = 0
    duplicates: int = 0
    quarantined: int = 0
    failed: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts as `ingest --json` gives them."""
        return asdict(self)


def ingest(
    database: Database,
    settings: Settings,
    paths: Sequence[Path],
    labels: str | None,
    progress: Progress,
    report: Report | None = None,
) -> Ingested:
    """Ingest files, folders, zips and DICOMDIRs from disk.

    Args:
        database: the installation's.
        settings: the installation's.
        paths: what to ingest.
        labels: `folder` for labels from folder names, the path of a manifest, or None.
        progress: told after each file.
        report: told why a file was set aside or failed.

    Raises:
        cbmir.errors.BadManifest: if the manifest cannot be understood.
        cbmir.errors.JobCancelled: if asked to stop; what is recorded stays.
        cbmir.errors.Unavailable: if the database or the disk fails; what is recorded stays.
    """
    labeller = _labeller(labels)
    entries = find_sources(paths, settings)
    if isinstance(labeller, Manifest):
        entries = chain(_without(entries, labeller.path.resolve()), labeller.missing())
    return _Ingestion(database, settings, labeller, report or _ignore).run(list(entries), progress)


def ingest_uploads(
    database: Database, settings: Settings, folder: Path, names: Mapping[str, str], progress: Progress
) -> Ingested:
    """Ingest files that were handed in over the web; the bytes of those set aside are kept in the data folder.

    Args:
        database: the installation's.
        settings: the installation's.
        folder: where the uploads lie.
        names: name on disk to the name that the user gave.
        progress: told after each file.

    Raises:
        as `ingest`.
    """
    entries = named_sources(((folder / stored, name) for stored, name in names.items()), settings)
    ingestion = _Ingestion(database, settings, NoLabels(), _ignore, borrowed=folder)
    return ingestion.run(list(entries), progress)


def ingest_entries(
    database: Database, settings: Settings, entries: Sequence[Entry], progress: Progress, report: Report
) -> Ingested:
    """Ingest what was found already, without labels.

    Raises:
        as `ingest`.
    """
    return _Ingestion(database, settings, NoLabels(), report).run(list(entries), progress)


def _ignore(_origin: str, _error: CbmirError) -> None:
    """The quarantine keeps the reason: nobody waits for it."""


def _labeller(labels: str | None) -> Labeller:
    if labels is None:
        return NoLabels()
    return FolderLabels() if labels == "folder" else Manifest.read(Path(labels))


def _without(entries: Iterator[Entry], path: Path) -> Iterator[Entry]:
    return (each for each in entries if not (isinstance(each, Source) and each.path == path))


@dataclass(frozen=True)
class _Refused:
    """A file that is there but cannot be used; `sha256` is empty where its bytes cannot be had."""

    file_name: str
    origin: str
    sha256: str
    error: UnusableInput


_Settled = Prepared | _Refused | Unlisted


@dataclass(frozen=True)
class _Ingestion:
    """One call: what its steps share. `borrowed` is the folder of files that will be gone after the job."""

    database: Database
    settings: Settings
    labeller: Labeller
    report: Report
    borrowed: Path | None = None
    isolation: Isolation = field(default_factory=Isolation)

    def run(self, entries: list[Entry], progress: Progress) -> Ingested:
        check_settings(self.settings)
        counts: Counter[str] = Counter()
        progress.update(0, len(entries))
        with self.isolation, closing(self._prepared(entries)) as prepared:
            for done, each in enumerate(prepared, start=1):
                counts[self._settle(each)] += 1
                progress.update(done, len(entries))
        return Ingested(**counts)

    def _prepared(self, entries: list[Entry]) -> Generator[_Settled]:
        """Convert ahead, a bounded number of files at a time, and hand on in order.

        Threads read and hash; each waits for a process of its own, which converts.
        """
        workers = self.isolation.processes
        window: deque[Future[_Settled]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="convert") as pool:
            for entry in entries:
                window.append(pool.submit(self._prepare, entry))
                if len(window) > 4 * workers:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()

    def _prepare(self, entry: Entry) -> _Settled:
        if isinstance(entry, Unlisted):
            return entry
        sha256 = ""
        try:
            content = entry.read()
            sha256 = sha256_of(content)
            return prepare(entry, content, sha256, self.labeller, self.database, self.settings, self.isolation)
        except UnusableInput as error:
            return _Refused(entry.file_name, entry.origin, sha256, error)
        except OSError as error:
            return Unlisted(entry.file_name, entry.origin, unreadable(entry.file_name, error))

    def _settle(self, each: _Settled) -> str:
        if isinstance(each, Prepared):
            try:
                return self._record(each)
            except UnusableInput as error:
                each = _Refused(each.file_name, each.source.origin, each.sha256, error)
        self.report(each.origin, each.error)
        if isinstance(each.error, UnusableInput):
            self._set_aside(each, each.error)
            return "quarantined"
        return "failed"

    def _record(self, prepared: Prepared) -> str:
        recorded = self._write(prepared)
        if recorded.outcome is Outcome.INCOMPARABLE:
            renew_namesake(self.database, self.settings, prepared, self.isolation)
            recorded = self._write(prepared, believe_uid=True)
        discard(self.settings, recorded)
        return "duplicates" if recorded.outcome is Outcome.DUPLICATE else "ingested"

    def _write(self, prepared: Prepared, *, believe_uid: bool = False) -> Recorded:
        with self.database.write() as session:
            recorded = record(session, prepared, believe_uid=believe_uid)
            if recorded.outcome is not Outcome.INCOMPARABLE:
                known = recorded.outcome is Outcome.DUPLICATE
                quarantine.release(
                    session, origin=prepared.source.origin, sha256=None if known else prepared.sha256
                )
        return recorded

    def _set_aside(self, each: _Refused | Unlisted, error: UnusableInput) -> None:
        sha256 = each.sha256 if isinstance(each, _Refused) else ""
        origin = _kept(each.origin, self.borrowed, self.settings.set_aside) if self.borrowed else each.origin
        with self.database.write() as session:
            quarantine.put(
                session,
                file_name=PurePosixPath(each.file_name).name,  # a folder's name may be a patient's
                origin=origin,
                sha256=sha256,
                code=error.code,
                reason=error.reason,
                remedy=error.remedy,
            )


def _kept(origin: str, borrowed: Path, folder: Path) -> str:
    """Keep a borrowed file under its hash, for a zip's member the whole zip; the origin that it has now."""
    stored, separator, member = os.path.relpath(origin, borrowed).partition("!")
    with (borrowed / stored).open("rb") as file:
        kept = folder.absolute() / hashlib.file_digest(file, "sha256").hexdigest()
        if not kept.exists():
            file.seek(0)
            with written_whole(kept) as copy:
                shutil.copyfileobj(file, copy)
    return f"{kept}{separator}{member}"
