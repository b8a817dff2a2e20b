"""Frames in numbers: those of a ranking, of a patient, and with their labels all at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import and_, exists, func, select, true, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload, selectinload

from cbmir.errors import EmptyGallery
from cbmir.store.tables import Feature, Frame, Group, Instance, Label, Query
from cbmir.store.writing import in_pieces
from cbmir.types import IdArray

DESCRIPTIONS: Mapping[str, Sequence[InstrumentedAttribute[Any]]] = MappingProxyType(
    {
        "size": (Frame.rows, Frame.columns),
        "pipeline": (Frame.pipeline,),
        "body_part": (Instance.body_part,),
        "photometric": (Instance.photometric,),
        "burned_in_annotation": (Instance.burned_in_annotation,),
        "laterality": (Instance.laterality,),
        "view_position": (Instance.view_position,),
        "manufacturer": (Instance.manufacturer,),
        "model_name": (Instance.model_name,),
        "sop_class_uid": (Instance.sop_class_uid,),
        "transfer_syntax_uid": (Instance.transfer_syntax_uid,),
    }
)
"""What is known of a frame beside its labels; most of it only of a DICOM object. `size` is rows x columns."""


@dataclass(frozen=True)
class Labelled:
    """The frames that have a feature of one encoder, with one label each; all sequences are parallel.

    Attributes:
        frame_ids: int64 (n,), ascending.
        group_ids: int64 (n,), row ids of the patients' groups.
        values: n values of the label; None where an instance lacks it.
    """

    frame_ids: IdArray
    group_ids: IdArray
    values: list[str | None]


def count(session: Session, *, above: int = 0) -> int:
    """Frames of the archive, or those of a higher id."""
    counted = select(func.count()).select_from(Frame)
    return session.scalar(counted.where(Frame.id > above) if above else counted) or 0


def count_and_highest(session: Session) -> tuple[int, int]:
    """Frames of the archive, and the highest id of one, 0 if there is none; ids are never used again."""
    counted, highest = session.execute(select(func.count(), func.max(Frame.id))).one()
    return counted, highest or 0


def any_stored(session: Session) -> bool:
    """Whether there is any frame at all."""
    return bool(session.scalar(select(exists().select_from(Frame))))


def none_stored() -> EmptyGallery:
    """The error for an archive without any."""
    return EmptyGallery("The archive holds no image yet.", "Ingest some: `cbmir ingest PATH`.")


def by_id(session: Session, frame_ids: Sequence[int]) -> dict[int, Frame]:
    """These frames, with their instances, groups and labels loaded; one deleted meanwhile is absent."""
    statement = (
        select(Frame)
        .where(Frame.id.in_(frame_ids))
        .options(joinedload(Frame.instance).options(joinedload(Instance.group), selectinload(Instance.labels)))
    )
    return {frame.id: frame for frame in session.scalars(statement)}


def shown(session: Session, pictures: Collection[str]) -> set[str]:
    """Those of these pictures, at most some hundred, that a frame shows."""
    return set(session.scalars(select(Frame.picture).where(Frame.picture.in_(pictures)).distinct()))


def held(session: Session, frame_ids: Collection[int]) -> set[int]:
    """Those of these frames that are there, and stay until this session ends: who deletes them waits, and then sees
    what it has written."""
    found: set[int] = set()
    for some in in_pieces(sorted(frame_ids)):
        there = select(Frame.id).where(Frame.id.in_(some)).order_by(Frame.id)
        found.update(session.scalars(there.with_for_update(read=True, key_share=True)))
    return found


def ids_of_groups(session: Session, keys: Collection[str], *, without_study: str | None = None) -> list[int]:
    """Frames of all instances in the groups of these keys, ascending; those of one study may be left out."""
    study = func.coalesce(Instance.study_instance_uid, "")
    statement = (
        select(Frame.id)
        .join(Frame.instance)
        .join(Instance.group)
        .where(Group.key.in_(keys), study != without_study if without_study else true())
        .order_by(Frame.id)
    )
    return list(session.scalars(statement))


def studies_of(session: Session, frame_ids: Collection[int]) -> dict[int, str]:
    """The Study Instance UID of each of these frames; one that has none, or is not stored, is absent."""
    return _of_instances(session, frame_ids, Instance.study_instance_uid)


def groups_of(session: Session, frame_ids: Collection[int]) -> dict[int, int]:
    """The row id of the group of each of these frames; one that is not stored is absent."""
    return _of_instances(session, frame_ids, Instance.group_id)


def beside_in_study(session: Session, frame_ids: Collection[int]) -> IdArray:
    """All frames of the studies that these are of: int64 (n,), in any order."""
    return _of_owners(session, Instance.study_instance_uid, set(studies_of(session, frame_ids).values()))


def beside_in_group(session: Session, frame_ids: Collection[int]) -> IdArray:
    """All frames of the groups that these are of: int64 (n,), in any order."""
    return _of_owners(session, Instance.group_id, set(groups_of(session, frame_ids).values()))


def _of_owners(session: Session, column: InstrumentedAttribute[Any], owners: Collection[Any]) -> IdArray:
    owned = select(Frame.id).join(Frame.instance)
    pieces = (session.scalars(owned.where(column.in_(piece))) for piece in in_pieces(owners))
    return np.fromiter(chain.from_iterable(pieces), np.int64)


def study_dates_of(session: Session, frame_ids: Collection[int]) -> dict[int, date]:
    """The Study Date of each of these frames; one that has none, or is not stored, is absent."""
    return _of_instances(session, frame_ids, Instance.study_date)


def _of_instances(
    session: Session, frame_ids: Collection[int], column: InstrumentedAttribute[Any]
) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for piece in in_pieces(frame_ids):
        rows = select(Frame.id, column).join(Frame.instance).where(Frame.id.in_(piece), column.is_not(None))
        found.update(session.execute(rows).all())
    return found


def ids_of_instance(session: Session, instance_id: int) -> list[int]:
    """Frames of one instance, by its row id, ascending."""
    return list(session.scalars(select(Frame.id).where(Frame.instance_id == instance_id).order_by(Frame.id)))


def group_keys(session: Session) -> dict[int, str]:
    """Key of each group by its row id."""
    return {row.id: row.key for row in session.execute(select(Group.id, Group.key))}


def grouped(session: Session, encoder_id: str) -> tuple[IdArray, IdArray]:
    """Every frame that has a feature of this encoder, and its group: int64 (n,) each, frames ascending."""
    statement = (
        select(Feature.frame_id, Instance.group_id)
        .join(Frame, Frame.id == Feature.frame_id)
        .join(Instance, Instance.id == Frame.instance_id)
        .where(Feature.encoder_id == encoder_id)
        .order_by(Feature.frame_id)
    )
    rows = np.array([tuple(row) for row in session.execute(statement)], np.int64).reshape(-1, 2)
    return rows[:, 0].copy(), rows[:, 1].copy()


def labelled(session: Session, encoder_id: str, name: str) -> Labelled:
    """Every frame that has a feature of this encoder, with its group and its label of this name."""
    statement = (
        select(Feature.frame_id, Instance.group_id, Label.value)
        .join(Frame, Frame.id == Feature.frame_id)
        .join(Instance, Instance.id == Frame.instance_id)
        .outerjoin(Label, and_(Label.instance_id == Instance.id, Label.name == name))
        .where(Feature.encoder_id == encoder_id)
        .order_by(Feature.frame_id)
    )
    rows = session.execute(statement).all()
    return Labelled(
        frame_ids=np.array([row.frame_id for row in rows], np.int64),
        group_ids=np.array([row.group_id for row in rows], np.int64),
        values=[row.value for row in rows],
    )


def described(session: Session, encoder_id: str, name: str) -> Labelled:
    """Every frame that has a feature of this encoder, with its label of this name or what its header says of it.

    Args:
        session: one that reads.
        encoder_id: whose features.
        name: of a label; where no image has it, one of `DESCRIPTIONS`.
    """
    found = labelled(session, encoder_id, name)
    if name not in DESCRIPTIONS or any(value is not None for value in found.values):
        return found
    statement = (
        select(*DESCRIPTIONS[name])
        .select_from(Feature)
        .join(Frame, Frame.id == Feature.frame_id)
        .join(Instance, Instance.id == Frame.instance_id)
        .where(Feature.encoder_id == encoder_id)
        .order_by(Feature.frame_id)
    )
    values = ["x".join(map(str, row)) if None not in row else None for row in session.execute(statement)]
    return Labelled(found.frame_ids, found.group_ids, values)


def label_names(session: Session) -> list[str]:
    """The names of all labels that images have, in alphabetical order."""
    return list(session.scalars(select(Label.name).distinct().order_by(Label.name)))


def known_names(session: Session) -> list[str]:
    """The names of all labels that images have, then those of `DESCRIPTIONS` of which any is known."""
    labels = label_names(session)
    return [*labels, *(name for name in known_descriptions(session) if name not in labels)]


def known_descriptions(session: Session) -> list[str]:
    """Those of `DESCRIPTIONS` of which any image has one."""
    columns = {name: column for name, (column, *_) in DESCRIPTIONS.items()}
    asked = [exists(select(column).where(column.is_not(None))).label(name) for name, column in columns.items()]
    found = session.execute(select(*asked)).one()._asdict()
    return [name for name in DESCRIPTIONS if found[name]]


def pictures(session: Session, encoder_id: str) -> dict[int, str]:
    """The picture's key of every frame that has a feature of this encoder, by the frame's id."""
    statement = (
        select(Frame.id, Frame.picture)
        .join(Feature, Feature.frame_id == Frame.id)
        .where(Feature.encoder_id == encoder_id)
    )
    return {frame_id: picture for frame_id, picture in session.execute(statement)}  # noqa: C416 - see `features`


def some_pictures(session: Session, most: int) -> list[tuple[int, str]]:
    """The ids of all frames, ascending, with the keys of their pictures; or of `most` frames at even distances."""
    every = max(1, -(-count(session) // most))
    numbered = select(Frame.id, Frame.picture, func.row_number().over(order_by=Frame.id).label("number")).subquery()
    chosen = select(numbered.c.id, numbered.c.picture).where(numbered.c.number % every == 0)
    return [(frame_id, picture) for frame_id, picture in session.execute(chosen.order_by(numbered.c.number))]


def shows(session: Session, picture: str) -> bool:
    """Whether a frame of the archive or a kept query shows the picture of this key."""
    used = union_all(
        select(Frame.picture).where(Frame.picture == picture), select(Query.picture).where(Query.picture == picture)
    )
    return session.scalars(used.limit(1)).first() is not None
