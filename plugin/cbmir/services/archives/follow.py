"""One look at an archive: what its script told, what its log says, and whether a sweep is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from cbmir.archive.base import Logged
from cbmir.services.archives.forget import forget
from cbmir.services.archives.recheck import IDLE_SECONDS, recheck
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sweep import sweep
from cbmir.store import archive_studies, archives, ledger
from cbmir.store.tables import ArchiveNotice, now

NOTICES = 1000
"""Notices that are taken in at one time."""

COUNT_SECONDS = 5.0
"""How often an archive that counts is asked how many objects it has."""

SWEEP_SECONDS = 20.0
"""How often an archive without a log is swept, at most; one with a log whose count is not ours, too."""

HEARD_SECONDS = 10.0
"""How often it is noted that an archive answers."""

SWEEP_SHARE = 10
"""A sweep is not repeated before so many times its own duration: the archive has other work to do."""

log = logging.getLogger(__name__)


@dataclass
class Follower:
    """Follows one archive, look by look. What it knows of time is lost with it; all else is in the database.

    Attributes:
        followed: the archive.
        count_at, sweep_at: when it may be counted and swept again, by the monotonic clock.
        heard_at: when it is noted next that it answers.
        recheck_at: when a study may be fetched again though nothing tells of a change: who looks once does not.
        apart: how many objects more than the ledger the archive has though a sweep found nothing to do: some of one
            SOP Instance UID, which the next sweep would find again.
        deleted: how many images its looks have deleted so far.
    """

    followed: Followed
    count_at: float = field(default=float("-inf"))
    sweep_at: float = field(default=float("-inf"))
    heard_at: float = field(default=float("-inf"))
    recheck_at: float = field(default_factory=lambda: time.monotonic() + IDLE_SECONDS)
    apart: int = 0
    deleted: int = 0

    def look(self, found: Callable[[], None] = lambda: None, seen: Callable[[], None] = lambda: None) -> bool:
        """Learn what has changed; True if anything is to be fetched now.

        Args:
            found, seen: as for `sweep`.

        Raises:
            cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: if it cannot
                be learned; the next look makes up for it.
            cbmir.errors.MassDeletion: as `sweep`.
            cbmir.errors.NotFound: if the archive was removed.
        """
        if isinstance(self.followed.archive, Logged):
            self._take_notices(self.followed.archive)
            self._read_log(self.followed.archive)
        if self._sweep_due():
            self._sweep(found, seen)
        if self._recheck_due():
            self.recheck_at = time.monotonic() + recheck(self.followed)
        self._hear(archives.answered)
        with self.followed.database.read() as session:
            return ledger.is_due(session, self.followed.id)

    def _hear(self, note: Callable[[Session, int], None]) -> None:
        """Note that the archive answers, unless that was just done."""
        if time.monotonic() >= self.heard_at:
            with self.followed.database.write() as session:
                again = archives.get(session, self.followed.name).connected is False
                note(session, self.followed.id)
            if again:
                log.info("archive %s answers again", self.followed.name)
            self.heard_at = time.monotonic() + HEARD_SECONDS

    def _sweep(self, found: Callable[[], None], seen: Callable[[], None]) -> None:
        def each_study() -> None:
            seen()
            self._hear(archives.heard)

        began, before = time.monotonic(), self._difference()
        swept = sweep(self.followed, found, each_study)
        self.deleted += swept.deleted + swept.dropped
        self.heard_at = float("-inf")
        self.sweep_at = time.monotonic() + max(SWEEP_SECONDS, SWEEP_SHARE * (time.monotonic() - began))
        nothing = not (swept.pending or swept.gone) and self._difference() == before
        self.apart = before if nothing else 0

    def _recheck_due(self) -> bool:
        tells = isinstance(self.followed.archive, Logged)  # what is replaced has another digest
        return bool(self.followed.connection.recheck_days) and not tells and time.monotonic() >= self.recheck_at

    def _take_notices(self, archive: Logged) -> None:
        while notices := self._notices():
            stored = list(dict.fromkeys(each.remote_id for each in notices if not each.deleted))
            described = list(archive.described(stored)) if stored else []
            with self.followed.database.write() as session:
                keeps = self.followed.keeps
                ledger.take_in(session, self.followed.id, described, keeps, replaced=True)
            self._delete(notices)
            with self.followed.database.write() as session:
                archives.forget_notices(session, self.followed.id, up_to=notices[-1].id)
                archives.change(session, self.followed.id, changed_at=now())

    def _notices(self) -> list[ArchiveNotice]:
        with self.followed.database.read() as session:
            return archives.notices(session, self.followed.id, NOTICES)

    def _delete(self, notices: list[ArchiveNotice]) -> None:
        """What was told of last as deleted; what the archive has again was described since."""
        last = {each.remote_id: each.deleted for each in notices}
        with self.followed.database.read() as session:
            told = [remote for remote, deleted in last.items() if deleted]
            gone = ledger.of_remote_ids(session, self.followed.id, told)
        followed = self.followed
        self.deleted += forget(followed.database, followed.settings, followed.id, followed.name, gone)

    def _read_log(self, archive: Logged) -> None:
        """Take in what came since the last look. Who has no cursor takes the log's end, and then sweeps."""
        with self.followed.database.read() as session:
            cursor = archives.get(session, self.followed.name).cursor
        done = False
        while not done:
            changes = archive.changes(cursor)
            described = list(archive.described(changes.instances)) if changes.instances and cursor else []
            if cursor == changes.cursor:
                return
            done = changes.done or not cursor
            fresh = {"changed_at": now()} if described else {}
            with self.followed.database.write() as session:
                keeps = self.followed.keeps
                ledger.take_in(session, self.followed.id, described, keeps, replaced=True)
                # the archive's times are in seconds: a study can change twice within one and look as before
                archive_studies.unsettle(session, self.followed.id, {each.study_instance_uid for each in described})
                wanted = {} if cursor else {"sweep_wanted": True}
                archives.change(session, self.followed.id, cursor=changes.cursor, **wanted, **fresh)
            cursor = changes.cursor

    def _sweep_due(self) -> bool:
        with self.followed.database.read() as session:
            if archives.get(session, self.followed.name).sweep_wanted:
                return True
        if time.monotonic() < self.sweep_at:
            return False
        return not isinstance(self.followed.archive, Logged) or self._count_differs()

    def _count_differs(self) -> bool:
        """Whether the archive has another number of objects than the ledger: deletions are in no log."""
        if self.followed.connection.rules.since or self.followed.connection.rules.until:
            return True  # it counts what the rules leave out, too
        if time.monotonic() < self.count_at:
            return False
        self.count_at = time.monotonic() + COUNT_SECONDS
        return self._difference() != self.apart

    def _difference(self) -> int:
        """How many objects more than the ledger the archive has; 0 of one that does not count."""
        if not isinstance(self.followed.archive, Logged):
            return 0
        with self.followed.database.read() as session:
            return self.followed.archive.count() - ledger.alive(session, self.followed.id)
