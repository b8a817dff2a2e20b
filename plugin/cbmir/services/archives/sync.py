"""What is pending is fetched, converted and recorded, object by object; a job does it, as long as more comes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.orm import Session

from cbmir.archive.folder import Unlisted, source_of
from cbmir.errors import CbmirError, NoPixels, NotFound, UnusableInput
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.archives.forget import delete_instances
from cbmir.services.archives.registered import Followed
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.ingest import ingest_listed
from cbmir.services.ingestion.origin import origin_of
from cbmir.services.ingestion.run import Entry, Ingested
from cbmir.store import archives, instances, ledger
from cbmir.store.tables import ArchiveObject
from cbmir.types import ObjectState, RemoteInstance

AT_ONCE = 256
"""Objects that are asked for together, and the rest of a series besides: an archive may give it by one answer."""

MOST_AT_ONCE = 10_000
"""However long the series is: their rows take 15 MB. Of files the spool has no more at one time than are read ahead
(`ingestion.run`), and those that are being brought; of a longer series the rest comes one by one."""

PREFIX = "fetched-"
POLL_SECONDS = 0.1

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
) -> Ingested:
    """Fetch and record what is pending, until nothing is.

    An object is recorded together with its line in the ledger: what is cut off goes on where it was, and nothing
    that is done is fetched again.

    Args:
        followed: the archive.
        progress: told after each object.
        isolation: where they are converted; it stays open.
        after: called after each piece of work, to extract features.
        linger_seconds: how long to wait for more once nothing is pending.
        more_may_come: whether to wait longer than that, as while the archive is still looked at.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused: if the archive is lost; the rest stays
            pending.
        cbmir.errors.JobCancelled: if asked to stop; the rest stays pending.
        cbmir.errors.Unavailable: if the database or the disk fails; the rest stays pending.
    """
    _sweep_spool(followed.settings.spool)
    synced, until = Ingested(), time.monotonic() + linger_seconds
    while True:
        waits = more_may_come()  # asked first: what it found last is pending by now
        piece = _pending(followed)
        if piece:
            synced += _work(followed, piece, _Sum(progress, synced.files, _total(followed)), isolation)
            after()
            until = time.monotonic() + linger_seconds
        elif not waits and time.monotonic() >= until:
            return synced
        else:
            progress.update(synced.files, synced.files)
            time.sleep(POLL_SECONDS)


def _sweep_spool(spool: Path) -> None:
    oldest = time.time() - STALE_SECONDS
    for left in spool.glob(f"{PREFIX}*"):
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)


def _pending(followed: Followed) -> list[ArchiveObject]:
    with followed.database.read() as session:
        piece = ledger.pending(session, followed.id, AT_ONCE)
        if len(piece) == AT_ONCE:
            piece += ledger.pending_behind(session, piece[-1], MOST_AT_ONCE - AT_ONCE)
        return piece


def _total(followed: Followed) -> int:
    with followed.database.read() as session:
        return ledger.behind(session, followed.id)


def _work(followed: Followed, piece: Sequence[ArchiveObject], progress: Progress, isolation: Isolation) -> Ingested:
    settings = followed.settings
    settings.spool.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.spool, prefix=PREFIX) as folder:
        objects = {origin_of(followed.name, each.sop_instance_uid): each for each in piece}
        account = _Account(followed, objects, _known(followed, piece))
        entries = _entries(followed, [_remote(each) for each in piece], Path(folder), account)
        return ingest_listed(followed.database, settings, entries, len(piece), account, progress, isolation)


def _known(followed: Followed, piece: Sequence[ArchiveObject]) -> set[str]:
    with followed.database.read() as session:
        return instances.known_uids(session, [each.sop_instance_uid for each in piece])


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


def _entries(
    followed: Followed, wanted: Sequence[RemoteInstance], folder: Path, account: _Account
) -> Iterator[Entry]:
    for each in followed.archive.fetch(wanted, folder):
        uid = each.instance.sop_instance_uid
        origin, name = origin_of(followed.name, uid), f"{uid}.dcm"
        if each.file is not None:
            account.files[origin] = each.file
            yield source_of(each.file, name, origin, followed.settings, is_ours=True)
        else:
            missing = NotFound(f"The archive {followed.name} did not give {uid}.", "It is asked again later.")
            yield Unlisted(name, origin, each.error or missing)


@dataclass(frozen=True)
class _Account:
    """The ledger of one piece of work (`ingestion.run.Ledger`); `known` are UIDs that we have before."""

    followed: Followed
    objects: dict[str, ArchiveObject]
    known: set[str]
    files: dict[str, Path] = field(default_factory=dict)

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
            delete_instances(session, Shelf(self.followed.settings.pictures), [row.sop_instance_uid])
        else:
            ledger.put_off(session, row.id, code=error.code, message=error.sentence)
            if isinstance(error, NotFound):
                archives.change(session, self.followed.id, sweep_wanted=True)

    def done(self, origin: str) -> None:
        if file := self.files.pop(origin, None):
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Sum:
    """Progress of one piece as part of all."""

    progress: Progress
    before: int
    total: int

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        self.progress.update(self.before + done, self.before + max(self.total, done), message)
