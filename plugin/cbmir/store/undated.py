"""Instances of which no Study Date is known yet: found, and given it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.orm import Session

from cbmir.store.instances import tell_anew
from cbmir.store.tables import Instance
from cbmir.store.writing import in_pieces


def studies(session: Session) -> set[str]:
    """The Study Instance UIDs of those that have one."""
    uids = select(Instance.study_instance_uid).where(Instance.study_date.is_(None))
    return set(session.scalars(uids.where(Instance.study_instance_uid.is_not(None)).distinct()))


def date_studies(session: Session, dates: Mapping[str, date]) -> None:
    """Give them the date of their study, by its UID; a date that is known stays."""
    given = update(Instance.__table__).where(  # type: ignore[arg-type]
        Instance.study_instance_uid == bindparam("uid"), Instance.study_date.is_(None)
    )
    if not dates:
        return
    mine: list[int] = []
    for some in in_pieces(dates):
        undated = select(Instance.id).where(Instance.study_date.is_(None), Instance.study_instance_uid.in_(some))
        mine += session.scalars(undated)
    rows = [{"uid": uid, "day": day} for uid, day in dates.items()]
    session.connection().execute(given.values(study_date=bindparam("day")), rows)
    tell_anew(session, *mine)


def date_instance(session: Session, instance_id: int, day: date) -> None:
    """Give one its date, if it is still there."""
    session.execute(update(Instance).where(Instance.id == instance_id).values(study_date=day))
    tell_anew(session, instance_id)


def listing(session: Session, after: int, limit: int) -> list[Instance]:
    """Up to `limit` DICOM objects above id `after`, by id."""
    return list(session.scalars(select(Instance).where(*_undated(after)).order_by(Instance.id).limit(limit)))


def count(session: Session) -> int:
    """How many DICOM objects they are."""
    return session.scalar(select(func.count()).select_from(Instance).where(*_undated(0))) or 0


def _undated(after: int) -> tuple[ColumnElement[bool], ...]:
    return Instance.id > after, Instance.study_date.is_(None), Instance.sop_class_uid.is_not(None)
