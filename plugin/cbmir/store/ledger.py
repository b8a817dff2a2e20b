"""What we believe that each archive holds: a row for each object, and what became of it here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from cbmir.store.clock import clock
from cbmir.store.instances import tell_anew
from cbmir.store.tables import Archive, ArchiveObject, Instance, now
from cbmir.store.writing import in_pieces, insert, storable
from cbmir.types import ObjectState, RemoteInstance

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 3600.0
"""Before an object that could not be had is fetched again: doubled with each attempt."""

Keeps = Callable[[RemoteInstance], bool]
"""Whether the rules want an object."""


def take_in(
    session: Session, archive_id: int, listed: Sequence[RemoteInstance], keeps: Keeps, *, replaced: bool = False
) -> int:
    """Compare objects that the archive lists with what is known of them.

    A new one, one that had been deleted, and one whose digest is another than before are to be fetched, or to be
    skipped where the rules do not want them. So is one that was skipped and is wanted now, or was to be fetched and
    is not. What is in the index stays followed, whatever the rules say. The others stay as they are.

    Args:
        session: one that writes.
        archive_id: whose.
        listed: of the archive.
        keeps: the rules.
        replaced: whether the archive said that it received all of these anew: those without a digest are then
            fetched again too.

    Returns:
        How many are to be fetched that were not before.
    """
    fresh = 0
    for some in in_pieces({each.sop_instance_uid: each for each in listed}.values()):
        known = _known(session, archive_id, [each.sop_instance_uid for each in some])
        new = [each for each in some if each.sop_instance_uid not in known]
        _add(session, archive_id, new, keeps)
        fresh += sum(map(keeps, new))
        indexed = _indexed(session, known.values(), {each.sop_instance_uid for each in some if not keeps(each)})
        back = [uid for uid, row in known.items() if row.state == ObjectState.DELETED]
        for each in some:
            row, kept = known.get(each.sop_instance_uid), each.sop_instance_uid in indexed or keeps(each)
            if row and (_differs(row, each, replaced) or _decided_otherwise(row, kept)):
                _renew(row, each, kept)
                fresh += row.state == ObjectState.PENDING
        _tell_anew(session, back)
    session.flush()
    return fresh


def _known(session: Session, archive_id: int, uids: Sequence[str]) -> dict[str, ArchiveObject]:
    mine = select(ArchiveObject).where(ArchiveObject.archive_id == archive_id)
    mine = mine.where(ArchiveObject.sop_instance_uid.in_(uids))
    rows = session.scalars(mine.order_by(ArchiveObject.id).with_for_update())
    return {row.sop_instance_uid: row for row in rows}


def _indexed(session: Session, rows: Iterable[ArchiveObject], unwanted: set[str]) -> set[str]:
    """Those of the unwanted that came into the index from this archive."""
    followed = (ObjectState.HELD, ObjectState.PENDING)
    uids = [row.sop_instance_uid for row in rows if row.state in followed and row.sop_instance_uid in unwanted]
    if not uids:
        return set()
    held = select(Instance.sop_instance_uid).where(Instance.sop_instance_uid.in_(uids))
    return {uid for uid in session.scalars(held) if uid}


def _decided_otherwise(row: ArchiveObject, kept: bool) -> bool:
    """Whether the rules wanted an object that they do not want now, or the other way round."""
    left_out = row.state == ObjectState.SKIPPED and row.error_code is None
    return left_out if kept else row.state == ObjectState.PENDING


def _add(session: Session, archive_id: int, new: Sequence[RemoteInstance], keeps: Keeps) -> None:
    if new:
        rows = [{"archive_id": archive_id, "changed_at": now(), **_row(each, keeps(each))} for each in new]
        session.execute(insert(session, ArchiveObject).on_conflict_do_nothing(), rows)
        _tell_anew(session, [each.sop_instance_uid for each in new])


def _tell_anew(session: Session, uids: Collection[str]) -> None:
    """Which archives list these objects has changed: tell it of those that the index holds."""
    if uids:
        tell_anew(session, *session.scalars(select(Instance.id).where(Instance.sop_instance_uid.in_(uids))))


def _row(each: RemoteInstance, kept: bool) -> dict[str, Any]:
    return {
        "sop_instance_uid": each.sop_instance_uid,
        "series_instance_uid": each.series_instance_uid,
        "study_instance_uid": each.study_instance_uid,
        "sop_class_uid": storable(each.sop_class_uid, 64),
        "modality": storable(each.modality, 16),
        "remote_id": storable(each.remote_id, 64),
        "digest": storable(each.digest, 64),
        "state": ObjectState.PENDING if kept else ObjectState.SKIPPED,
        "revision": 1,
        "attempts": 0,
    }


def _differs(row: ArchiveObject, each: RemoteInstance, replaced: bool) -> bool:
    moved = row.study_instance_uid != each.study_instance_uid
    if row.state == ObjectState.DELETED or moved:
        return True
    return row.digest != each.digest if row.digest and each.digest else replaced


def _renew(row: ArchiveObject, each: RemoteInstance, kept: bool) -> None:
    for name, value in _row(each, kept).items():
        setattr(row, name, value if name != "revision" else row.revision + 1)
    row.retry_at, row.error_code, row.error_message, row.changed_at = None, None, None, now()


def fetch_again(session: Session, archive_id: int, uids: Sequence[str] | None = None) -> list[str]:
    """Let objects be fetched again though nothing says that they changed; all that are not deleted by default.

    Those that the rules leave out stay out; those that were fetched and showed nothing are fetched once more.

    Returns:
        The SOP Instance UIDs of those that are to be fetched now.
    """
    fetched = (ObjectState.HELD, ObjectState.SET_ASIDE, ObjectState.PENDING)
    showed_nothing = and_(ArchiveObject.state == ObjectState.SKIPPED, ArchiveObject.error_code.is_not(None))
    rows = update(ArchiveObject).where(
        ArchiveObject.archive_id == archive_id, or_(ArchiveObject.state.in_(fetched), showed_nothing)
    )
    fresh: dict[str, Any] = {"state": ObjectState.PENDING, "revision": ArchiveObject.revision + 1, "attempts": 0}
    fresh.update(dict.fromkeys(("retry_at", "error_code", "error_message")))
    asked: list[str] = []
    for some in in_pieces(uids) if uids is not None else [None]:
        chosen = rows if some is None else rows.where(ArchiveObject.sop_instance_uid.in_(some))
        changed = chosen.values(**fresh).returning(ArchiveObject.sop_instance_uid)
        asked += session.scalars(changed, execution_options={"synchronize_session": False})
    return asked


def pending(session: Session, archive_id: int, limit: int, *, behind: int = 0) -> list[ArchiveObject]:
    """Up to `limit` objects to be fetched now, those found first before the others, a study together; of those
    whose row ids are above `behind`."""
    rows = _due(session, archive_id).where(ArchiveObject.id > behind)
    return list(session.scalars(rows.limit(limit)))


def pending_of_series(session: Session, last: ArchiveObject, limit: int) -> list[ArchiveObject]:
    """Up to `limit` more objects of the series of the last one that is `pending`."""
    series = ArchiveObject.series_instance_uid == last.series_instance_uid, ArchiveObject.id > last.id
    return list(session.scalars(_due(session, last.archive_id).where(*series).limit(limit)))


def _due(session: Session, archive_id: int) -> Select[ArchiveObject]:
    due = or_(ArchiveObject.retry_at.is_(None), ArchiveObject.retry_at <= clock(session))
    mine = select(ArchiveObject).where(
        ArchiveObject.archive_id == archive_id, ArchiveObject.state == ObjectState.PENDING, due
    )
    return mine.order_by(ArchiveObject.id)


def is_due(session: Session, archive_id: int) -> bool:
    """Whether there is anything to be fetched now."""
    return session.scalar(_due(session, archive_id).with_only_columns(ArchiveObject.id).limit(1)) is not None


def wanted(session: Session, revisions: Mapping[int, int]) -> list[int]:
    """Those of the objects, by row id, of which what was fetched at this revision still is what the archive holds;
    their rows are held until the session ends."""
    rows = select(ArchiveObject.id, ArchiveObject.revision).where(ArchiveObject.id.in_(revisions))
    rows = rows.where(ArchiveObject.state == ObjectState.PENDING).order_by(ArchiveObject.id).with_for_update()
    return [row_id for row_id, revision in session.execute(rows) if revision == revisions[row_id]]


def hold(session: Session, object_ids: Collection[int]) -> None:
    """Note that these, found to be `wanted` in this session, are in the index now."""
    rows = update(ArchiveObject).where(ArchiveObject.id.in_(object_ids))
    held = {"state": ObjectState.HELD, "error_code": None, "error_message": None, "retry_at": None}
    session.execute(rows.values(**held, changed_at=now()), execution_options={"synchronize_session": False})


def settle(
    session: Session, object_id: int, revision: int, state: ObjectState, *, code: str = "", message: str = ""
) -> None:
    """Note what became of a fetched object, unless the archive has changed it since."""
    session.execute(
        update(ArchiveObject)
        .where(ArchiveObject.id == object_id, ArchiveObject.revision == revision)
        .where(ArchiveObject.state == ObjectState.PENDING)
        .values(
            state=state,
            error_code=code[:32] or None,
            error_message=storable(message) or None,
            retry_at=None,
            changed_at=now(),
        )
    )


def put_off(session: Session, object_id: int, *, code: str, message: str) -> None:
    """Note why an object could not be had; it is fetched again after a while, each time a longer one."""
    row = session.get(ArchiveObject, object_id)
    if row is not None and row.state == ObjectState.PENDING:
        row.attempts += 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(row.attempts - 1, 20))
        row.retry_at = clock(session) + timedelta(seconds=pause)
        row.error_code, row.error_message = code[:32], storable(message)


def counts(session: Session, archive_id: int) -> dict[ObjectState, int]:
    """How many objects are in each state."""
    mine = select(ArchiveObject.state, func.count()).where(ArchiveObject.archive_id == archive_id)
    found = session.execute(mine.group_by(ArchiveObject.state))
    return dict.fromkeys(ObjectState, 0) | {ObjectState(state): number for state, number in found}


def behind(session: Session, archive_id: int) -> int:
    """How many objects are to be fetched, now or later."""
    mine = select(func.count()).where(ArchiveObject.archive_id == archive_id)
    return session.scalar(mine.where(ArchiveObject.state == ObjectState.PENDING)) or 0


def alive(session: Session, archive_id: int) -> int:
    """How many objects we believe that the archive holds."""
    mine = select(func.count()).where(ArchiveObject.archive_id == archive_id)
    return session.scalar(mine.where(ArchiveObject.state != ObjectState.DELETED)) or 0


def troubled(session: Session, archive_id: int, limit: int) -> list[ArchiveObject]:
    """Objects that could not be had when they were asked for last, those that are asked for next first."""
    mine = select(ArchiveObject).where(*_troubled(archive_id))
    return list(session.scalars(mine.order_by(ArchiveObject.retry_at, ArchiveObject.id).limit(limit)))


def count_troubled(session: Session, archive_id: int) -> int:
    """How many objects could not be had when they were asked for last."""
    return session.scalar(select(func.count()).where(*_troubled(archive_id))) or 0


def ask_now(session: Session, archive_id: int) -> None:
    """Let objects that could not be had be asked for now, not only after their pause."""
    waiting = update(ArchiveObject).where(*_troubled(archive_id)).values(retry_at=None)
    session.execute(waiting, execution_options={"synchronize_session": False})


def _troubled(archive_id: int) -> tuple[ColumnElement[bool], ...]:
    """Only an object that was put off has a moment before which it is not asked for again."""
    return ArchiveObject.archive_id == archive_id, ArchiveObject.retry_at.is_not(None)


def of_remote_ids(session: Session, archive_id: int, remote_ids: Collection[str]) -> list[ArchiveObject]:
    """The objects that the archive calls so, but for those that are deleted already."""
    found: list[ArchiveObject] = []
    mine = _alive(archive_id)
    for some in in_pieces(remote_ids):
        found += session.scalars(mine.where(ArchiveObject.remote_id.in_(some)))
    return found


def of_study(session: Session, archive_id: int, study_instance_uid: str) -> list[ArchiveObject]:
    """The objects of a study that we believe the archive holds."""
    return list(session.scalars(_alive(archive_id).where(ArchiveObject.study_instance_uid == study_instance_uid)))


def all_alive(session: Session, archive_id: int) -> list[ArchiveObject]:
    """All objects that we believe the archive holds."""
    return list(session.scalars(_alive(archive_id)))


def _alive(archive_id: int) -> Any:
    mine = select(ArchiveObject).where(ArchiveObject.archive_id == archive_id)
    return mine.where(ArchiveObject.state != ObjectState.DELETED)


def study_uids(session: Session, archive_id: int) -> set[str]:
    """The studies of the objects that we believe the archive holds."""
    mine = select(ArchiveObject.study_instance_uid).where(ArchiveObject.archive_id == archive_id)
    return set(session.scalars(mine.where(ArchiveObject.state != ObjectState.DELETED).distinct()))


def unchanged(session: Session, objects: Sequence[ArchiveObject]) -> list[ArchiveObject]:
    """Those of the objects that nothing has happened to since they were read."""
    revisions = {each.id: each.revision for each in objects}
    found: list[ArchiveObject] = []
    for some in in_pieces(revisions):
        rows = session.scalars(select(ArchiveObject).where(ArchiveObject.id.in_(some)))
        found += [row for row in rows if row.revision == revisions[row.id] and row.state != ObjectState.DELETED]
    return found


def mark_deleted(session: Session, object_ids: Collection[int]) -> None:
    """Note that the archive no longer holds these, nor do we, but for what another archive holds too."""
    gone: dict[str, Any] = {"state": ObjectState.DELETED, "revision": ArchiveObject.revision + 1, "retry_at": None}
    for some in in_pieces(object_ids):
        lock(session, some)
        rows = update(ArchiveObject).where(ArchiveObject.id.in_(some)).returning(ArchiveObject.sop_instance_uid)
        marked = rows.values(**gone, error_code=None, error_message=None, changed_at=now())
        _tell_anew(session, session.scalars(marked).all())


def leave_out(session: Session, object_ids: Collection[int]) -> None:
    """Note that the rules do not want these, and that nothing of them is here."""
    left: dict[str, Any] = {"state": ObjectState.SKIPPED, "revision": ArchiveObject.revision + 1, "retry_at": None}
    for some in in_pieces(object_ids):
        lock(session, some)
        rows = update(ArchiveObject).where(ArchiveObject.id.in_(some))
        session.execute(rows.values(**left, error_code=None, error_message=None, changed_at=now()))


def drop_left_out(session: Session, archive_id: int, study_instance_uid: str) -> bool:
    """Forget what the rules leave out of a study; True if nothing else of it is known."""
    mine = (ArchiveObject.archive_id == archive_id, ArchiveObject.study_instance_uid == study_instance_uid)
    session.execute(delete(ArchiveObject).where(*mine, ArchiveObject.state == ObjectState.SKIPPED))
    return not of_study(session, archive_id, study_instance_uid)


def lock(session: Session, object_ids: Collection[int]) -> None:
    """Let nobody else change these until the session ends; by id, as all do who hold several: else two could wait
    for each other."""
    rows = select(ArchiveObject.id).where(ArchiveObject.id.in_(object_ids)).order_by(ArchiveObject.id)
    session.execute(rows.with_for_update())


def held_elsewhere(session: Session, archive_id: int, uids: Sequence[str]) -> set[str]:
    """Which of these objects another archive holds too."""
    held: set[str] = set()
    for some in in_pieces(uids):
        others = select(ArchiveObject.sop_instance_uid).where(
            ArchiveObject.sop_instance_uid.in_(some),
            ArchiveObject.archive_id != archive_id,
            ArchiveObject.state == ObjectState.HELD,
        )
        held.update(session.scalars(others))
    return held


def holders(session: Session, uids: Sequence[str]) -> Iterator[tuple[ArchiveObject, Archive]]:
    """The objects of these SOP Instance UIDs, in each archive that holds them."""
    for some in in_pieces(uids):
        rows = select(ArchiveObject, Archive).join(Archive, Archive.id == ArchiveObject.archive_id)
        held = ArchiveObject.state.in_((ObjectState.HELD, ObjectState.PENDING))
        found = session.execute(rows.where(ArchiveObject.sop_instance_uid.in_(some), held))
        yield from ((each, archive) for each, archive in found)


def held_without_instance(session: Session, archive_id: int) -> list[ArchiveObject]:
    """Objects that count as held though the index has none of their UID."""
    mine = select(ArchiveObject).where(
        ArchiveObject.archive_id == archive_id, ArchiveObject.state == ObjectState.HELD
    )
    known = select(Instance.sop_instance_uid).where(Instance.sop_instance_uid.is_not(None))
    return list(session.scalars(mine.where(ArchiveObject.sop_instance_uid.not_in(known))))
