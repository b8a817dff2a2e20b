"""One ingestion: files are read and converted in parallel, and recorded in order, some in one transaction.

Whatever happens to one file, the rest goes on: it is ingested, known already, set aside in the quarantine with its
reason, or - where its bytes cannot be had at all - counted as failed and reported. A known file whose pictures an
earlier conversion made is ingested again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from sqlalchemy.orm import Session

from cbmir.ahead import in_batches
from cbmir.archive.folder import Source, Unlisted, sha256_of, unreadable
from cbmir.archive.manifest import Labeller
from cbmir.errors import CbmirError, UnusableInput
from cbmir.files import written_whole
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.conversion.convert import check_settings
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.batch import record_all, still_unused, unwanted
from cbmir.services.ingestion.record import Outcome, Prepared, Recorded, prepare
from cbmir.services.ingestion.renewal import discard, renew_namesake
from cbmir.settings import Settings
from cbmir.store import quarantine
from cbmir.store.session import Database
from cbmir.store.writing import serialise

Report = Callable[[str, CbmirError], None]
"""Told of a file's origin, and why it was set aside or failed."""

Entry = Source | Unlisted


class Ledger(Protocol):
    """Keeps account of the files' origins, in the very transactions that record the files: all or nothing.

    What it stands for has the last word on its objects: one of a known SOP Instance UID takes the known one's
    place.
    """

    def is_new(self, origin: str) -> bool:
        """Whether no object is known under the file's UID, so that its bytes need not be looked up before."""

    def wanted(self, session: Session, origins: Collection[str]) -> Collection[str]:
        """Those of the files that are still to be recorded."""

    def recorded(self, session: Session, origins: Collection[str]) -> None:
        """These files are recorded."""

    def failed(self, session: Session, origin: str, error: CbmirError) -> None:
        """The file is set aside, or could not be had."""

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

SETTLED = (Outcome.INGESTED, Outcome.RENEWED, Outcome.DUPLICATE, Outcome.REPLACED)
"""With these the file is in the index."""

AT_ONCE = 64
"""Files that are recorded in one transaction, at most."""

AHEAD_BYTES = 1024**3
"""Of files read ahead: once an archive has brought so many, more come when some are recorded and removed."""

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

    def run(self, entries: Iterable[Entry], total: int, progress: Progress) -> Ingested:
        with self.isolation:
            return self.work(entries, total, progress)

    def work(self, entries: Iterable[Entry], total: int, progress: Progress) -> Ingested:
        check_settings(self.settings)
        counts: Counter[str] = Counter()
        progress.update(0, total)
        # threads read, hash and wait for a process each, which converts; one more than there are has the next ready
        threads = self.isolation.processes + 1
        ahead = {"threads": threads, "most": AT_ONCE, "most_size": AHEAD_BYTES}
        with closing(in_batches(self._prepare, entries, size=_bytes_of, **ahead)) as batches:
            for done, (origin, became) in enumerate(self._settled(batches), start=1):
                counts[became] += 1
                if self.ledger:
                    self.ledger.done(origin)
                progress.update(done, max(done, total))
        progress.update(counts.total(), counts.total())
        return Ingested(**counts)

    def _prepare(self, entry: Entry) -> _Settled:
        if isinstance(entry, Unlisted):
            return entry
        sha256 = ""
        try:
            content = entry.read()
            sha256 = sha256_of(content)
            is_new = self.ledger is not None and self.ledger.is_new(entry.origin)
            where = self.database, self.settings, self.isolation
            return prepare(entry, content, sha256, self.labeller, *where, is_new=is_new)
        except UnusableInput as error:
            return _Refused(entry.file_name, entry.origin, sha256, error)
        except OSError as error:
            return Unlisted(entry.file_name, entry.origin, unreadable(entry.file_name, error))

    def _settled(self, batches: Iterable[Sequence[_Settled]]) -> Iterator[tuple[str, str]]:
        """The origin of each file, and what became of it."""
        for batch in batches:
            yield from self._recorded([each for each in batch if isinstance(each, Prepared)])
            for each in batch:
                if not isinstance(each, Prepared):
                    yield each.origin, self._refused(each)

    def _refused(self, each: _Refused | Unlisted) -> str:
        self.report(each.origin, each.error)
        if isinstance(each.error, UnusableInput):
            self._set_aside(each, each.error)
            return "quarantined"
        if self.ledger:
            with self.database.write() as session:
                self.ledger.failed(session, each.origin, each.error)
        return "failed"

    def _recorded(self, batch: Sequence[Prepared]) -> Iterator[tuple[str, str]]:
        while batch:
            later = []
            for each, became in zip(batch, self._write(batch), strict=True):
                if isinstance(became, Recorded) and became.outcome is Outcome.LATER:
                    later.append(each)
                else:
                    yield each.source.origin, self._concluded(each, became)
            batch = later

    def _concluded(self, each: Prepared, became: Recorded | UnusableInput) -> str:
        """Do what is to be done once the transaction is committed; what became of the file at last."""
        if isinstance(became, UnusableInput):
            return self._refused(_Refused(each.file_name, each.source.origin, each.sha256, became))
        if became.outcome is Outcome.INCOMPARABLE:
            renew_namesake(self.database, self.settings, each, self.isolation)
            return self._concluded(each, *self._write([each], believe_uid=True))
        if became.outcome is Outcome.BARE:
            return self._begun_again(each.source)
        discard(self.database, self.settings, became)
        return OUTCOMES.get(became.outcome, "ingested")

    def _begun_again(self, source: Source) -> str:
        """What becomes at last of a file whose pictures are gone since it was converted."""
        again = self._prepare(source)
        if isinstance(again, Prepared):
            return self._concluded(again, *self._write([again]))
        return self._refused(again)

    def _write(self, batch: Sequence[Prepared], *, believe_uid: bool = False) -> list[Recorded | UnusableInput]:
        """Record some files, with the ledger's lines, in one transaction."""
        origins = [each.source.origin for each in batch]
        with self.database.write() as session:
            wanted = self.ledger.wanted(session, origins) if self.ledger else origins
            serialise(session)  # no picture goes from now on
            passed = [self._passed_over(each, wanted) for each in batch]
            chosen = [each for each, why in zip(batch, passed, strict=True) if why is None]
            replaces = self.ledger is not None
            recorded = iter(record_all(session, chosen, believe_uid=believe_uid, replaces=replaces))
            became = [why or next(recorded) for why in passed]
            self._note(session, batch, became)
            return [still_unused(session, each) for each in became]

    def _passed_over(self, each: Prepared, wanted: Collection[str]) -> Recorded | None:
        """What becomes of a file that is not to be recorded; None of the others."""
        if each.source.origin not in wanted:
            return unwanted(each)
        there = all(map(Shelf(self.settings.pictures).has, (frame.picture for frame in each.frames)))
        return None if there else Recorded(Outcome.BARE)

    def _note(
        self, session: Session, batch: Sequence[Prepared], became: Sequence[Recorded | UnusableInput]
    ) -> None:
        outcomes = [each.outcome if isinstance(each, Recorded) else None for each in became]
        settled = [(each, how) for each, how in zip(batch, outcomes, strict=True) if how in SETTLED]
        origins = [each.source.origin for each, _ in settled]
        hashes = [each.sha256 for each, how in settled if how is not Outcome.DUPLICATE]
        quarantine.release(session, origins=origins, hashes=hashes)
        if self.ledger:
            self.ledger.recorded(session, origins)

    def _set_aside(self, each: _Refused | Unlisted, error: UnusableInput) -> None:
        origin = _kept(each.origin, self.borrowed, self.settings.set_aside) if self.borrowed else each.origin
        with self.database.write() as session:
            quarantine.put(
                session,
                file_name=PurePosixPath(each.file_name).name,  # a folder's name may be a patient's
                origin=origin,
                sha256=each.sha256,
                **error.as_json(),
            )
            if self.ledger:
                self.ledger.failed(session, each.origin, error)


def _bytes_of(entry: Entry) -> int:
    try:
        return entry.path.stat().st_size if isinstance(entry, Source) and entry.path else 0
    except OSError:  # whoever reads it tells
        return 0


def _kept(origin: str, borrowed: Path, folder: Path) -> str:
    """Keep a borrowed file under its hash, for a zip's member the whole zip; the origin that it has now."""
    # not by os.path: that would follow the dots of a member's name to other files of the host
    stored, separator, member = origin.removeprefix(f"{borrowed}/").partition("!")
    with (borrowed / stored).open("rb") as file:
        kept = folder.absolute() / hashlib.file_digest(file, "sha256").hexdigest()
        if not kept.exists():
            file.seek(0)
            with written_whole(kept) as copy:
                shutil.copyfileobj(file, copy)
    return f"{kept}{separator}{member}"
