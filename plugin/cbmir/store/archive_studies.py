"""The studies of each archive as it listed them last: what differs from this is looked into."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from cbmir.store.tables import ArchiveStudy, now
from cbmir.store.writing import insert

NO_DAY = "-"
"""Stands for a Study Date in a stamp."""

DAY = 8
"""Characters of a Study Date."""

IN_PART = "in part"


def known(session: Session, archive_id: int) -> dict[str, ArchiveStudy]:
    """The archive's studies as it listed them last, by UID."""
    rows = session.scalars(select(ArchiveStudy).where(ArchiveStudy.archive_id == archive_id))
    return {row.study_instance_uid: row for row in rows}


def keep(
    session: Session, archive_id: int, study_instance_uid: str, *, instances: int | None, listed: int, stamp: str
) -> None:
    """Note how the archive lists a study whose objects were just compared."""
    said = {"instances": instances, "listed": listed, "stamp": stamp, "listed_at": now()}
    row = insert(session, ArchiveStudy).values(archive_id=archive_id, study_instance_uid=study_instance_uid, **said)
    keys = ["archive_id", "study_instance_uid"]
    session.execute(row.on_conflict_do_update(index_elements=keys, set_=said))


def drop(session: Session, archive_id: int, study_instance_uid: str) -> None:
    """Forget how the archive lists a study."""
    mine = delete(ArchiveStudy).where(ArchiveStudy.archive_id == archive_id)
    session.execute(mine.where(ArchiveStudy.study_instance_uid == study_instance_uid))


def unsettle(session: Session, archive_id: int, study_instance_uids: Collection[str]) -> None:
    """Have these studies looked into by the next sweep, whatever the archive says of them then."""
    mine = select(ArchiveStudy).where(ArchiveStudy.archive_id == archive_id)
    for row in session.scalars(mine.where(ArchiveStudy.study_instance_uid.in_(study_instance_uids))):
        row.stamp = in_part(row.stamp)


def stamp(patient: str, day: date | None, rest: str) -> str:
    """How a study is kept in mind; at most 64 characters.

    Args:
        patient: the patient's pseudonym.
        day: Study Date, as far as it has one.
        rest: what else tells of a change; at most 32 characters.
    """
    return f"{patient} {day:%Y%m%d} {rest}" if day else f"{patient} {NO_DAY} {rest}"


def in_part(whole: str) -> str:
    """Stands for the stamp of a study of which not all is known."""
    return f"{' '.join(_patient_and_day(whole))} {IN_PART}"


def is_of_another(before: str, after: str) -> bool:
    """Whether a study is of another patient, or of another day, than when it had the stamp before: so are the
    headers of its objects then. A day that was not known is no other one."""
    (patient, day), (patient_now, day_now) = _patient_and_day(before), _patient_and_day(after)
    return patient != patient_now or (day != day_now and day.isdecimal() and day_now.isdecimal())


def _patient_and_day(whole: str) -> tuple[str, str]:
    """What a stamp begins with; those of earlier versions say no day."""
    patient, _, rest = whole.partition(" ")
    day = rest.partition(" ")[0]
    return patient, day if len(day) == DAY else NO_DAY


def forget(session: Session, archive_id: int) -> None:
    """Forget how the archive lists all studies: each is looked into again."""
    session.execute(delete(ArchiveStudy).where(ArchiveStudy.archive_id == archive_id))


def longest_unlisted(session: Session, archive_id: int, limit: int, before: datetime) -> list[str]:
    """The studies whose objects were not compared since `before`, those of longest ago first."""
    old = _unlisted(archive_id, before).limit(limit)
    return list(session.scalars(old))


def longest_uncounted(session: Session, archive_id: int, limit: int, before: datetime) -> list[str]:
    """The same of those whose objects the archive does not count."""
    old = _unlisted(archive_id, before).where(ArchiveStudy.instances.is_(None)).limit(limit)
    return list(session.scalars(old))


def longest_unfetched(session: Session, archive_id: int) -> ArchiveStudy | None:
    """The study that was not fetched as a whole for longest."""
    mine = select(ArchiveStudy).where(ArchiveStudy.archive_id == archive_id)
    return session.scalar(mine.order_by(ArchiveStudy.fetched_at.nulls_first()).limit(1))


def fetched(session: Session, archive_id: int, study_instance_uid: str) -> None:
    """Note that all objects of a study are to be fetched now."""
    mine = update(ArchiveStudy).where(ArchiveStudy.archive_id == archive_id)
    session.execute(mine.where(ArchiveStudy.study_instance_uid == study_instance_uid).values(fetched_at=now()))


def _unlisted(archive_id: int, before: datetime) -> Select[str]:
    mine = select(ArchiveStudy.study_instance_uid).where(ArchiveStudy.archive_id == archive_id)
    return mine.where(ArchiveStudy.listed_at < before).order_by(ArchiveStudy.listed_at)
