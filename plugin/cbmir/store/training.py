"""What a training starts from: every stored picture with its patient's group and its label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from cbmir.store.tables import Frame, Group, Instance, Label

AT_ONCE = 10_000


class TrainingFrame(NamedTuple):
    """One stored frame: its picture's key, its group's row id and key, its labels, and its picture's conversion.

    `modality` is the modality's class; without one the DICOM code, else empty. `label` is the sub-class; without
    one what `modality` is.
    """

    picture: str
    group_id: int
    group: str
    label: str
    pipeline: str
    modality: str


def frames(session: Session) -> list[TrainingFrame]:
    """All stored frames, in an order that depends on pictures, groups and labels alone, not on row ids."""
    subclass, modality = aliased(Label), aliased(Label)
    statement = (
        select(
            Frame.picture,
            Group.id,
            Group.key,
            func.coalesce(subclass.value, modality.value, Instance.modality, ""),
            Frame.pipeline,
            func.coalesce(modality.value, Instance.modality, ""),
        )
        .join(Instance, Instance.id == Frame.instance_id)
        .join(Group, Group.id == Instance.group_id)
        .outerjoin(subclass, and_(subclass.instance_id == Instance.id, subclass.name == "subclass"))
        .outerjoin(modality, and_(modality.instance_id == Instance.id, modality.name == "modality"))
    )
    rows = [TrainingFrame(*row) for row in session.execute(statement)]
    return sorted(rows, key=lambda row: (row.picture, row.group, row.label))


def group_ids(session: Session) -> set[int]:
    """Row ids of all groups that are stored now."""
    return set(session.scalars(select(Group.id)))


def pictures(session: Session) -> Iterator[tuple[int, str, str]]:
    """Of every stored frame: its group's row id, the SHA-256 of its file's bytes, and its picture's key."""
    statement = select(Instance.group_id, Instance.sha256, Frame.picture).join(Instance.frames)
    for row in session.execute(statement.execution_options(yield_per=AT_ONCE)):
        yield row.group_id, row.sha256, row.picture
