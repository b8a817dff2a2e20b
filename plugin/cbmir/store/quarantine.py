"""Files that could not be used, kept with the reason until they can."""

from __future__ import annotations

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session

from cbmir.store.tables import Quarantined, now
from cbmir.store.writing import insert, storable


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


def release(session: Session, *, origin: str, sha256: str | None = None) -> int:
    """Forget what stood at this origin before and, if given, these bytes anywhere.

    Returns:
        How many rows that were.
    """
    same = [and_(Quarantined.origin != "", Quarantined.origin == storable(origin))]
    if sha256:
        same.append(Quarantined.sha256 == sha256)
    return len(session.scalars(delete(Quarantined).where(or_(*same)).returning(Quarantined.id)).all())


def listing(session: Session, *, limit: int | None = 50, offset: int = 0) -> list[Quarantined]:
    """Files in quarantine, newest first; all of them where `limit` is None."""
    newest = select(Quarantined).order_by(Quarantined.created_at.desc(), Quarantined.id.desc())
    return list(session.scalars(newest.limit(limit).offset(offset)))


def count(session: Session) -> int:
    """Files in quarantine."""
    return session.scalar(select(func.count()).select_from(Quarantined)) or 0
