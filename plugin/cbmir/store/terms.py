"""What a filter may ask of the frames that have features, read in one go: the terms of `cbmir.index.terms`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from cbmir.labels import answers_to
from cbmir.store.features import ROWS_AT_ONCE, in_generations
from cbmir.store.tables import ArchiveObject, Encoder, Feature, Frame, Instance, Label
from cbmir.types import ObjectState

CODE, BODY_PART, STUDY_DATE, ARCHIVE = "code", "body_part", "study_date", "archive"
"""Names of terms: the DICOM modality, Body Part Examined, the study's date as ISO 8601 writes it, and the row id of
an archive that lists the object."""
LABEL = "label:"
"""In front of a label's name; who has a value of several labels carries a term of each, and one of the whole."""


def terms_of(session: Session, encoder: Encoder, after: int = -1) -> Iterator[tuple[int, str, str]]:
    """Frame id, name and value of each term of the frames whose features are of the generations above `after`, up
    to the one that `encoder` was read with."""
    columns = {CODE: Instance.modality, BODY_PART: Instance.body_part, STUDY_DATE: Instance.study_date}
    for name, column in columns.items():
        header = _frames(encoder, after).add_columns(column).join(Instance).where(column.is_not(None))
        for frame_id, value in _rows(session, header):
            yield frame_id, name, str(value)
    labels = _frames(encoder, after).add_columns(Label.name, Label.value)
    for frame_id, name, value in _rows(session, labels.join(Label, Label.instance_id == Frame.instance_id)):
        for each in answers_to(value):
            yield frame_id, LABEL + name, each
    listed = _frames(encoder, after).add_columns(ArchiveObject.archive_id).join(Instance)
    same = and_(
        ArchiveObject.sop_instance_uid == Instance.sop_instance_uid, ArchiveObject.state != ObjectState.DELETED
    )
    for frame_id, archive_id in _rows(session, listed.join(ArchiveObject, same)):
        yield frame_id, ARCHIVE, str(archive_id)


def _frames(encoder: Encoder, after: int) -> Select[Any]:
    some = select(Feature.frame_id).where(*in_generations(Feature, encoder, after))
    return some.join(Frame, Frame.id == Feature.frame_id)


def _rows(session: Session, statement: Select[Any]) -> Iterator[Any]:
    for some in session.execute(statement.execution_options(yield_per=ROWS_AT_ONCE)).partitions():
        yield from some
