"""Files that could not be used, kept with the reason until they can."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import Session

from cbmir.store.tables import Quarantined, now
from cbmir.store.writing import insert, storable

MEANINGS = {
    "no-pixels": "Nothing to show: reports, plans and the like",
    "broken-file": "Damaged or cut short",
    "not-a-picture": "Neither DICOM nor a picture",
    "unforeseen": "cbmir's own code fails at it",
    "undecodable": "No decoder for the pixels",
    "implausible-size": "Impossible or too large",
    "conflicting-instance": "The UID of another object",
    "conflicting-labels": "Contradicting labels",
    "unsafe-archive": "A zip that looks like a bomb",
    "bad-request": "A label or group that cannot be kept",
    "unusable-input": "Cannot be used",
}
"""What each code of a reason means, in a few words: `no-pixels` is no damage, the object shows nothing."""


def meaning(code: str) -> str:
    """The code in words; one that nobody knows here as it stands."""
    return MEANINGS.get(code, code)


def put(
    session: Session, *, file_name: str, origin: str, sha256: str, code: str, reason: str, remedy: str = ""
) -> None:
    """Keep a file aside; one that is there already (by origin and bytes) gets the new reason.

    Args:
        session: one that writes.
        file_name: as shown.
        origin: where the bytes are, for the administrator; empty for an upload.
        sha256: of the bytes, 64 hexadecimal digits.
        code: the error's code.
        reason: what is wrong.
        remedy: what can be done.
    """
    said = {"code": code, "reason": storable(reason), "remedy": storable(remedy), "created_at": now()}
    said["file_name"] = storable(file_name)
    row = insert(session, Quarantined).values(origin=storable(origin), sha256=sha256, **said)
    session.execute(row.on_conflict_do_update(index_elements=["origin", "sha256"], set_=said))


def release(session: Session, *, origins: Collection[str], hashes: Collection[str] = ()) -> int:
    """Forget what stood at these origins before and, if given, what has one of these SHA-256 anywhere.

    Returns:
        How many rows that were.
    """
    places = {storable(origin) for origin in origins} - {""}
    same = or_(Quarantined.origin.in_(places), Quarantined.sha256.in_(hashes))
    return len(session.scalars(delete(Quarantined).where(same).returning(Quarantined.id)).all())


def listing(
    session: Session, *, code: str | None = None, limit: int | None = 50, offset: int = 0
) -> list[Quarantined]:
    """Files in quarantine, newest first; with `code` those of one reason, all of them where `limit` is None."""
    newest = select(Quarantined).where(*_of(code)).order_by(Quarantined.created_at.desc(), Quarantined.id.desc())
    return list(session.scalars(newest.limit(limit).offset(offset)))


def after(session: Session, after: int, *, code: str | None = None, limit: int = 500) -> list[Quarantined]:
    """Up to `limit` files above id `after`, by id; with `code` those of one reason."""
    statement = select(Quarantined).where(Quarantined.id > after, *_of(code)).order_by(Quarantined.id)
    return list(session.scalars(statement.limit(limit)))


def count(session: Session) -> int:
    """Files in quarantine."""
    return session.scalar(select(func.count()).select_from(Quarantined)) or 0


def counts(session: Session) -> dict[str, int]:
    """Files in quarantine by the code of their reason, most frequent first."""
    statement = select(Quarantined.code, func.count()).group_by(Quarantined.code)
    rows = session.execute(statement.order_by(func.count().desc(), Quarantined.code))
    return {code: count for code, count in rows}  # noqa: C416 - rows are no pairs to the type checker


def ids(session: Session, *, code: str | None = None, among: Collection[int] | None = None) -> list[int]:
    """Row ids, ascending: of one reason, or those of some rows that are still there; else all."""
    some = [] if among is None else [Quarantined.id.in_(among)]
    return list(session.scalars(select(Quarantined.id).where(*_of(code), *some).order_by(Quarantined.id)))


def by_id(session: Session, ids: Collection[int]) -> list[Quarantined]:
    """These rows, as far as they are still there, by id."""
    return list(session.scalars(select(Quarantined).where(Quarantined.id.in_(ids)).order_by(Quarantined.id)))


def forget(session: Session, ids: Collection[int], *, before: datetime) -> None:
    """Forget these rows, but for those that were put aside again since `before`."""
    session.execute(delete(Quarantined).where(Quarantined.id.in_(ids), Quarantined.created_at < before))


def uses(session: Session, name: str) -> bool:
    """Whether the place of a file in quarantine, or of a zip that it is a member of, holds this name."""
    found = select(Quarantined.id).where(Quarantined.origin.contains(name, autoescape=True))
    return session.scalars(found.limit(1)).first() is not None


def _of(code: str | None) -> list[ColumnElement[bool]]:
    return [] if code is None else [Quarantined.code == code]
