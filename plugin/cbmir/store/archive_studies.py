"""The studies of each archive as it listed them last: what differs from this is looked into."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from cbmir.store.tables import ArchiveStudy, now
from cbmir.store.writing import insert


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
        row.stamp = in_part(row.stamp.split(" ")[0])


def in_part(patient: str) -> str:
    """Stands for the stamp of a study of which not all is known.

    Args:
        patient: what stamps begin with, the patient's pseudonym.
    """
    return f"{patient} in part"


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


def _unlisted(archive_id: int, before: datetime) -> Select[str]:
    mine = select(ArchiveStudy.study_instance_uid).where(ArchiveStudy.archive_id == archive_id)
    return mine.where(ArchiveStudy.listed_at < before).order_by(ArchiveStudy.listed_at)
