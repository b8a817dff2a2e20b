"""One ingestion: files are read and converted in parallel, and recorded in order, one object a transaction.

Whatever happens to one file, the rest goes on: it is ingested, known already, set aside in the quarantine with its
reason, or - where its bytes cannot be had at all - counted as failed and reported. A known file whose pictures an
earlier conversion made is ingested again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from sqlalchemy.orm import Session

from cbmir.archive.folder import Source, Unlisted, sha256_of, unreadable
from cbmir.archive.manifest import Labeller
from cbmir.errors import CbmirError, UnusableInput
from cbmir.files import written_whole
from cbmir.progress import Progress
from cbmir.services.convert import check_settings
from cbmir.services.isolation import Isolation
from cbmir.services.reconvert import discard, renew_namesake
from cbmir.services.record import Outcome, Prepared, Recorded, prepare, record
from cbmir.settings import Settings
from cbmir.store import instances, quarantine
from cbmir.store.session import Database

Report = Callable[[str, CbmirError], None]
"""Told of a file's origin, and why it was set aside or failed."""

Entry = Source | Unlisted


class Ledger(Protocol):
    """Keeps account of the files' origins, in the very transactions that record the files: all or nothing.

    What it stands for has the last word on its objects: one of a known SOP Instance UID takes the known one's
    place.
    """

    def wants(self, session: Session, origin: str) -> bool:
        """Whether the file is still to be recorded."""

    def settled(self, session: Session, origin: str, error: CbmirError | None) -> None:
        """The file is recorded, or set aside, or could not be had: then with the error."""

    def done(self, origin: str) -> None:
        """That is committed: the file is needed no longer, unless it could not be had."""


@dataclass(frozen=True)
class Ingested:
    """What became of the files: each is counted once."""

    ingested: int = 0
    duplicates: int = 0
    quarantined: int = 0
    failed: int = 0

    @property
    def files(self) -> int:
        """How many they were."""
        return sum(asdict(self).values())

    def __add__(self, other: Ingested) -> Ingested:
        ours, theirs = asdict(self), asdict(other)
        return Ingested(**{name: ours[name] + theirs[name] for name in ours})

    def as_json(self) -> dict[str, int]:
        """The counts as `ingest --json` gives them."""
        return asdict(self)


def ignore(_origin: str, _error: CbmirError) -> None:
    """The quarantine keeps the reason: nobody waits for it."""


@dataclass(frozen=True)
class _Refused:
    """A file that is there but cannot be used; `sha256` is empty where its bytes cannot be had."""

    file_name: str
    origin: str
    sha256: str
    error: UnusableInput


OUTCOMES = {Outcome.DUPLICATE: "duplicates", Outcome.UNWANTED: "failed"}
"""What does not count as ingested."""

_Settled = Prepared | _Refused | Unlisted


@dataclass(frozen=True)
class Ingestion:
    """One call: what its steps share. `borrowed` is the folder of files that will be gone after the job."""

    database: Database
    settings: Settings
    labeller: Labeller
    report: Report
    borrowed: Path | None = None
    ledger: Ledger | None = None
    isolation: Isolation = field(default_factory=Isolation)

    def run(self, entries: Sequence[Entry], progress: Progress) -> Ingested:
        with self.isolation:
            return self.work(entries, len(entries), progress)

    def work(self, entries: Iterable[Entry], total: int, progress: Progress) -> Ingested:
        check_settings(self.settings)
        counts: Counter[str] = Counter()
        progress.update(0, total)
        with closing(self._prepared(entries)) as prepared:
            for done, each in enumerate(prepared, start=1):
                counts[self._settle(each)] += 1
                if self.ledger:
                    self.ledger.done(each.source.origin if isinstance(each, Prepared) else each.origin)
                progress.update(done, total)
        return Ingested(**counts)

    def _prepared(self, entries: Iterable[Entry]) -> Generator[_Settled]:
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
        if self.ledger:
            with self.database.write() as session:
                self.ledger.settled(session, each.origin, each.error)
        return "failed"

    def _record(self, prepared: Prepared) -> str:
        recorded = self._write(prepared)
        if recorded.outcome is Outcome.INCOMPARABLE:
            renew_namesake(self.database, self.settings, prepared, self.isolation)
            recorded = self._write(prepared, believe_uid=True)
        discard(self.settings, recorded)
        return OUTCOMES.get(recorded.outcome, "ingested")

    def _write(self, prepared: Prepared, *, believe_uid: bool = False) -> Recorded:
        origin = prepared.source.origin
        with self.database.write() as session:
            if self.ledger and not self.ledger.wants(session, origin):
                pictures = {frame.picture for frame in prepared.frames}
                return Recorded(Outcome.UNWANTED, tuple(instances.unused_pictures(session, pictures)))
            recorded = record(session, prepared, believe_uid=believe_uid, replaces=self.ledger is not None)
            if recorded.outcome is not Outcome.INCOMPARABLE:
                known = recorded.outcome is Outcome.DUPLICATE
                quarantine.release(session, origin=origin, sha256=None if known else prepared.sha256)
                if self.ledger:
                    self.ledger.settled(session, origin, None)
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
            if self.ledger:
                self.ledger.settled(session, each.origin, error)


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
