"""What an earlier version did not keep of a header, Study Date and equipment: given when it is read again."""

from __future__ import annotations

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from cbmir.store.new_instances import header_columns
from cbmir.store.tables import Instance
from cbmir.store.undated import date_instance
from cbmir.types import InstanceHeader


def is_incomplete(session: Session, sha256: str) -> bool:
    """Whether the file with these bytes is stored as a DICOM object of which no date, or no equipment, is known."""
    unknown = or_(
        Instance.study_date.is_(None), and_(Instance.manufacturer.is_(None), Instance.model_name.is_(None))
    )
    stored = exists().where(Instance.sha256 == sha256, Instance.sop_class_uid.is_not(None), unknown)
    return bool(session.scalar(select(stored)))


def complete(session: Session, instance: Instance, header: InstanceHeader | None) -> None:
    """Give it date and equipment by its header, as far as neither is known; what is known stays."""
    if header is None:
        return
    if instance.manufacturer is None and instance.model_name is None:
        said = header_columns(header)
        instance.manufacturer, instance.model_name = said["manufacturer"], said["model_name"]
        session.flush()
    if instance.study_date is None and header.study_date:
        date_instance(session, instance.id, header.study_date)
