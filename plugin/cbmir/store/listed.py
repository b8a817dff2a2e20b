"""What archives list under a UID, whatever became of it here."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cbmir.store.tables import Archive, ArchiveObject
from cbmir.types import ObjectState


class Level(StrEnum):
    """What a UID names (PS3.3 A.1.2)."""

    INSTANCE = "instance"
    SERIES = "series"
    STUDY = "study"


COLUMNS: dict[Level, InstrumentedAttribute[str]] = {
    Level.INSTANCE: ArchiveObject.sop_instance_uid,
    Level.SERIES: ArchiveObject.series_instance_uid,
    Level.STUDY: ArchiveObject.study_instance_uid,
}


def states(session: Session, level: Level, uid: str) -> dict[ObjectState, int]:
    """How many objects below this UID are in each state, in all archives together; without states of none."""
    archives = select(Archive.id)  # the indices begin with the archive
    mine = select(ArchiveObject.state, func.count()).where(
        COLUMNS[level] == uid, ArchiveObject.archive_id.in_(archives)
    )
    return {ObjectState(state): count for state, count in session.execute(mine.group_by(ArchiveObject.state))}


def latest(session: Session, level: Level, uid: str, state: ObjectState) -> tuple[ArchiveObject, Archive] | None:
    """Of the objects below this UID that are in a state the one that came to it last, with its archive."""
    rows = select(ArchiveObject, Archive).join(Archive, Archive.id == ArchiveObject.archive_id)
    mine = rows.where(COLUMNS[level] == uid, ArchiveObject.state == state)
    found = session.execute(mine.order_by(ArchiveObject.changed_at.desc()).limit(1)).first()
    return None if found is None else (found[0], found[1])


def classes(session: Session, level: Level, uid: str, state: ObjectState) -> set[str]:
    """SOP Class UIDs of the objects below this UID that are in a state; "" where an archive tells none."""
    rows = select(ArchiveObject.sop_class_uid).join(Archive, Archive.id == ArchiveObject.archive_id)
    return set(session.scalars(rows.where(COLUMNS[level] == uid, ArchiveObject.state == state).distinct()))
