"""How each archive is: reached or not, how far behind we are, and what became of its objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from cbmir.store import archives, ledger, tables
from cbmir.types import ObjectState

MOST_NAMED = 20
"""Objects that cannot be had of which each is named; the others are counted."""


@dataclass(frozen=True)
class Trouble:
    """An object that could not be had when it was asked for last: why, how often it was asked for, and when it is
    asked for again. The message says what to do."""

    sop_instance_uid: str
    study_instance_uid: str
    error_code: str
    error_message: str
    attempts: int
    retry_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The trouble as `archive status --json` gives it."""
        return {**vars(self), "retry_at": self.retry_at.isoformat()}


@dataclass(frozen=True)
class ArchiveStatus:
    """An archive as it is shown.

    Attributes:
        connected: whether it answered last; None before it was ever asked.
        behind: objects that are still to be fetched.
        held: objects in the index; skipped: not wanted, or nothing to show (which the quarantine lists, too);
            set_aside: cannot be used; deleted: gone from the archive, and from here.
        troubled: of those behind the ones that could not be had; troubles: the first of them, each with its reason.
        checked_at, changed_at, swept_at: when it was last asked, last brought a change, was last compared whole.
    """

    name: str
    kind: str
    address: str
    paused: bool
    connected: bool | None
    error_code: str | None
    error_message: str | None
    checked_at: datetime | None
    changed_at: datetime | None
    swept_at: datetime | None
    behind: int
    held: int
    skipped: int
    set_aside: int
    deleted: int
    troubled: int = 0
    troubles: tuple[Trouble, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The status as `archive status --json` and the REST API give it."""
        moments = ("checked_at", "changed_at", "swept_at")
        said = {name: _iso(getattr(self, name)) for name in moments}
        return {**vars(self), **said, "troubles": [each.as_json() for each in self.troubles]}


def overview(session: Session) -> list[ArchiveStatus]:
    """All archives, by name."""
    return [_of_row(session, row) for row in archives.listing(session)]


def of(session: Session, name: str) -> ArchiveStatus:
    """One archive.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
    """
    return _of_row(session, archives.get(session, name))


def _of_row(session: Session, row: tables.Archive) -> ArchiveStatus:
    counts = ledger.counts(session, row.id)
    return ArchiveStatus(
        name=row.name,
        kind=row.kind,
        address=row.address,
        paused=row.paused,
        connected=row.connected,
        error_code=row.error_code,
        error_message=row.error_message,
        checked_at=row.checked_at,
        changed_at=row.changed_at,
        swept_at=row.swept_at,
        behind=counts[ObjectState.PENDING],
        held=counts[ObjectState.HELD],
        skipped=counts[ObjectState.SKIPPED],
        set_aside=counts[ObjectState.SET_ASIDE],
        deleted=counts[ObjectState.DELETED],
        troubled=ledger.count_troubled(session, row.id),
        troubles=tuple(_trouble(each) for each in ledger.troubled(session, row.id, MOST_NAMED)),
    )


def _trouble(row: tables.ArchiveObject) -> Trouble:
    return Trouble(
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        error_code=row.error_code or "",
        error_message=row.error_message or "",
        attempts=row.attempts,
        retry_at=row.retry_at or tables.now(),
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
