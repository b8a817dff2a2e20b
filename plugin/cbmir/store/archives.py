"""Archives that are followed: added, found, leased to one follower, and how each is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, NotFound
from cbmir.store.clock import clock
from cbmir.store.filters import Where
from cbmir.store.tables import Archive, ArchiveNotice, now
from cbmir.store.writing import insert_new, storable

LONGEST_ERROR = 1000
"""Characters of an error that are kept: some servers answer with a page."""


def add(
    session: Session, *, name: str, kind: str, address: str, options: Mapping[str, Any], sealed_credentials: bytes
) -> Archive:
    """Add an archive; it is swept as soon as somebody follows it.

    Raises:
        cbmir.errors.BadRequest: if one of this name is there already.
    """
    row = {"name": name, "kind": kind, "address": address, "options": dict(options)}
    refuse_known(session, name)
    archive = Archive(**row, sealed_credentials=sealed_credentials)
    session.add(archive)
    session.flush()
    return archive


def refuse_known(session: Session, name: str) -> None:
    """Refuse the name of an archive that is there already.

    Raises:
        cbmir.errors.BadRequest: if there is one.
    """
    if find(session, name) is not None:
        raise BadRequest(
            f"There is an archive {name} already.",
            f"`cbmir archive edit {name}` changes it. Or choose another name.",
        )


def find(session: Session, name: str) -> Archive | None:
    """The archive of this name, if there is one."""
    return session.scalar(select(Archive).where(Archive.name == name))


def get(session: Session, name: str) -> Archive:
    """The archive of this name.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    found = find(session, name)
    if found is None:
        raise NotFound(f"There is no archive {name[:64]}.", "`cbmir archive status` lists them.")
    return found


def refuse_unknown(session: Session, where: Where) -> None:
    """See to it that there is each archive that a filter names: one misspelt would keep nothing, or everything.

    Raises:
        cbmir.errors.NotFound: if there is none of a name.
    """
    for name in sorted(where.archives()):
        get(session, name)


def listing(session: Session) -> list[Archive]:
    """All archives, by name."""
    return list(session.scalars(select(Archive).order_by(Archive.name)))


def unfollowed(session: Session) -> list[Archive]:
    """The archives that nobody follows now, but for those that are to be left alone."""
    ended = or_(Archive.followed_until.is_(None), Archive.followed_until < clock(session))
    return list(session.scalars(select(Archive).where(~Archive.paused, ended).order_by(Archive.name)))


def remove(session: Session, archive: Archive) -> None:
    """Forget an archive and what it listed; instances stay."""
    session.execute(delete(Archive).where(Archive.id == archive.id))


def change(session: Session, archive_id: int, **values: Any) -> None:
    """Set columns of an archive, if any; one that was removed meanwhile stays so."""
    if values:
        session.execute(update(Archive).where(Archive.id == archive_id).values(**values))


def lease(session: Session, archive_id: int, follower: str, seconds: float) -> bool:
    """Follow an archive for so many seconds from now, unless another does; True if it is this follower's.

    Where another has not given it back, and so may have died in the middle of a sweep, one is wanted again.
    """
    moment = clock(session)
    died = and_(Archive.follower != "", Archive.follower != follower)
    free = or_(Archive.follower == follower, Archive.followed_until.is_(None), Archive.followed_until < moment)
    taken = (
        update(Archive)
        .where(Archive.id == archive_id, ~Archive.paused, free)
        .values(
            follower=follower,
            followed_until=moment + timedelta(seconds=seconds),
            sweep_wanted=or_(Archive.sweep_wanted, died),
        )
        .returning(Archive.id)
    )
    return session.scalars(taken).first() is not None


def release(session: Session, follower: str, archive_id: int) -> None:
    """Give back an archive, if this follower leased it."""
    mine = update(Archive).where(Archive.id == archive_id, Archive.follower == follower)
    session.execute(mine.values(follower="", followed_until=None))


def answered(session: Session, archive_id: int) -> None:
    """Note that the archive answers."""
    change(session, archive_id, connected=True, checked_at=now(), error_code=None, error_message=None)


def heard(session: Session, archive_id: int) -> None:
    """Note that the archive answers, in the middle of a look: that it could not be reached is over. What else is
    wrong stays until a look comes to its end."""
    unreached = update(Archive).where(Archive.id == archive_id, Archive.connected.is_(False))
    session.execute(unreached.values(error_code=None, error_message=None))
    change(session, archive_id, connected=True, checked_at=now())


def failed(session: Session, archive_id: int, code: str, message: str, *, connected: bool) -> None:
    """Note what went wrong with the archive."""
    said = storable(message, LONGEST_ERROR)
    change(session, archive_id, connected=connected, checked_at=now(), error_code=code[:32], error_message=said)


def notify(session: Session, archive_id: int, notices: list[tuple[str, bool]]) -> None:
    """Keep what an archive's script told: (the archive's id of an object, whether it was deleted), in order."""
    insert_new(
        session,
        ArchiveNotice,
        [{"archive_id": archive_id, "remote_id": remote, "deleted": deleted} for remote, deleted in notices],
    )


def notices(session: Session, archive_id: int, limit: int) -> list[ArchiveNotice]:
    """The oldest notices that were not taken in yet."""
    mine = select(ArchiveNotice).where(ArchiveNotice.archive_id == archive_id)
    return list(session.scalars(mine.order_by(ArchiveNotice.id).limit(limit)))


def forget_notices(session: Session, archive_id: int, *, up_to: int) -> None:
    """Drop the notices that were taken in: those up to this id."""
    mine = delete(ArchiveNotice).where(ArchiveNotice.archive_id == archive_id)
    session.execute(mine.where(ArchiveNotice.id <= up_to))
