"""What is pending is fetched, converted and recorded, object by object; a job does it, as long as more comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.orm import Session

from cbmir.archive.base import Fetched
from cbmir.archive.folder import Unlisted, source_of
from cbmir.errors import CbmirError, NoPixels, NotFound, UnusableInput
from cbmir.files import discard_left
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.archives.registered import Followed
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.ingest import ingest_listed
from cbmir.services.ingestion.origin import origin_of
from cbmir.services.ingestion.removal import delete_instances
from cbmir.services.ingestion.run import Entry, Ingested
from cbmir.store import archive_studies, archives, instances, ledger
from cbmir.store.tables import ArchiveObject
from cbmir.types import ObjectState, RemoteInstance

AT_ONCE = 256
"""Objects that are asked for together, and the rest of a series besides: an archive may give it by one answer."""

MOST_AT_ONCE = 10_000
"""However long the series is: their rows take 15 MB. Of files the spool has no more at one time than are read ahead
(`ingestion.run`), and those that are being brought; of a longer series the rest comes one by one."""

PREFIX = "fetched-"
POLL_SECONDS = 0.05

STALE_SECONDS = 3600.0
"""A folder of fetched files that nothing was added to for so long was left by a process that died."""


def synchronise(
    followed: Followed,
    progress: Progress,
    isolation: Isolation,
    *,
    after: Callable[[], None] = lambda: None,
    linger_seconds: float = 0.0,
    more_may_come: Callable[[], bool] = lambda: False,
    enough: Callable[[], bool] = lambda: False,
) -> Ingested:
    """Fetch and record what is pending, until nothing is, or it is enough.

    An object is recorded together with its line in the ledger: what is cut off goes on where it was, and nothing
    that is done is fetched again.

    Args:
        followed: the archive.
        progress: told after each object.
        isolation: where they are converted; it stays open.
        after: called after each piece of work, to extract features.
        linger_seconds: how long to wait for more once nothing is pending.
        more_may_come: whether to wait longer than that, as while the archive is still looked at.
        enough: whether to fetch no more; what is fetched by then is recorded.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused: if the archive is lost; the rest stays
            pending.
        cbmir.errors.JobCancelled: if asked to stop; the rest stays pending.
        cbmir.errors.Unavailable: if the database or the disk fails; the rest stays pending.
    """
    discard_left(followed.settings.spool, f"{PREFIX}*", STALE_SECONDS)
    synced, until = Ingested(), time.monotonic() + linger_seconds
    while not enough():
        waits = more_may_come()  # asked first: what it found last is pending by now
        if _is_due(followed):
            synced += _work(followed, progress, synced.files, isolation, after, enough)
            until = time.monotonic() + linger_seconds
        elif not waits and time.monotonic() >= until:
            break
        else:
            progress.update(synced.files, synced.files)
            time.sleep(POLL_SECONDS)
    return synced


def _is_due(followed: Followed) -> bool:
    with followed.database.read() as session:
        return ledger.is_due(session, followed.id)


def _total(followed: Followed) -> int:
    with followed.database.read() as session:
        return ledger.behind(session, followed.id)


def _work(
    followed: Followed,
    progress: Progress,
    before: int,
    isolation: Isolation,
    after: Callable[[], None],
    enough: Callable[[], bool],
) -> Ingested:
    """Fetch and record until nothing is pending but what failed, or was changed, meanwhile."""
    settings = followed.settings
    settings.spool.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.spool, prefix=PREFIX) as folder:
        account = _Account(followed, _total(followed))
        entries = _entries(account, Path(folder), after, enough)
        total = _Sum(progress, before, account)
        synced = ingest_listed(followed.database, settings, entries, 0, account, total, isolation)
    after()
    return synced


def _entries(
    account: _Account, folder: Path, after: Callable[[], None], enough: Callable[[], bool]
) -> Iterator[Entry]:
    """Piece by piece what is fetched: the next one is asked for while the last one is still converted."""
    followed, last = account.followed, 0
    while not enough() and (piece := account.take_on(last)):
        last = max(each.id for each in piece)
        for each in followed.archive.fetch([_remote(row) for row in piece], folder):
            yield _entry(each, account)
            if enough():
                return
        after()


def _entry(fetched: Fetched, account: _Account) -> Entry:
    uid, name = fetched.instance.sop_instance_uid, account.followed.name
    origin, file_name = origin_of(name, uid), f"{uid}.dcm"
    if fetched.file is None:
        missing = NotFound(f"The archive {name} did not give {uid}.", "It is asked again later.")
        return Unlisted(file_name, origin, fetched.error or missing)
    account.files[origin] = fetched.file
    return source_of(fetched.file, file_name, origin, account.followed.settings, is_ours=True)


def _remote(row: ArchiveObject) -> RemoteInstance:
    return RemoteInstance(
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        study_instance_uid=row.study_instance_uid,
        sop_class_uid=row.sop_class_uid,
        modality=row.modality,
        remote_id=row.remote_id,
        digest=row.digest,
    )


@dataclass
class _Account:
    """The ledger of what is on its way (`ingestion.run.Ledger`), by origin.

    Attributes:
        total: objects, finished or pending.
        finished: objects that were on their way, and are no more.
        known: UIDs that we have before.
    """

    followed: Followed
    total: int
    finished: int = 0
    objects: dict[str, ArchiveObject] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    files: dict[str, Path] = field(default_factory=dict)

    def take_on(self, last: int) -> Sequence[ArchiveObject]:
        """The next piece, of rows behind the last one of the piece before; empty if there is none."""
        followed = self.followed
        with followed.database.read() as session:
            piece = ledger.pending(session, followed.id, AT_ONCE, behind=last)
            if len(piece) == AT_ONCE:
                piece += ledger.pending_of_series(session, piece[-1], MOST_AT_ONCE - AT_ONCE)
            self.known |= instances.known_uids(session, [each.sop_instance_uid for each in piece])
        # some may be held by now and not yet finished: it would seem to shrink
        self.total = max(self.total, self.finished + _total(followed))
        self.objects |= {origin_of(followed.name, each.sop_instance_uid): each for each in piece}
        return piece

    def is_new(self, origin: str) -> bool:
        return self.objects[origin].sop_instance_uid not in self.known

    def wanted(self, session: Session, origins: Collection[str]) -> Collection[str]:
        rows = {self.objects[origin].id: origin for origin in origins}
        revisions = {self.objects[origin].id: self.objects[origin].revision for origin in origins}
        return {rows[row_id] for row_id in ledger.wanted(session, revisions)}

    def recorded(self, session: Session, origins: Collection[str]) -> None:
        ledger.hold(session, [self.objects[origin].id for origin in origins])

    def failed(self, session: Session, origin: str, error: CbmirError) -> None:
        """Note why there is no object. One that cannot be used any more is no image of ours any more."""
        row = self.objects[origin]
        if isinstance(error, UnusableInput):
            state = ObjectState.SKIPPED if isinstance(error, NoPixels) else ObjectState.SET_ASIDE
            ledger.settle(session, row.id, row.revision, state, code=error.code, message=error.sentence)
            ours = instances.of_uids(session, [row.sop_instance_uid])
            delete_instances(session, Shelf(self.followed.settings.pictures), ours)
        else:
            ledger.put_off(session, row.id, code=error.code, message=error.sentence)
            if isinstance(error, NotFound):
                archives.change(session, self.followed.id, sweep_wanted=True)
                archive_studies.unsettle(session, self.followed.id, {row.study_instance_uid})

    def done(self, origin: str) -> None:
        self.known.discard(self.objects.pop(origin).sop_instance_uid)
        self.finished += 1
        if file := self.files.pop(origin, None):
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Sum:
    """Progress of this work as part of all."""

    progress: Progress
    before: int
    account: _Account

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        self.progress.update(self.before + done, self.before + max(self.account.total, done), message)
