"""Rows of the JSON document out of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import RowMapping, and_, case, select
from sqlalchemy.orm import Session

from cbmir.store.features import STORED
from cbmir.store.tables import Encoder, Feature, Frame, Group, GroupPart, Instance, Label
from cbmir.store.writing import is_sqlite

ROWS_AT_ONCE = 2_000
REQUIRED = ("file_name", "feature", "label", "labels", "group", "sop_instance_uid", "frame_number", "sha256")
Labels = dict[int, dict[str, tuple[str, str]]]


def freeze(session: Session) -> None:
    """Let the session see the database as it is now until it ends; SQLite's sessions do that anyway."""
    if not is_sqlite(session):
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def encoder_object(encoder: Encoder) -> dict[str, Any]:
    """The document's `encoder`."""
    keys = (
        "id",
        "architecture",
        "dimension",
        "weights_sha256",
        "preprocessing",
        "training",
        "metrics",
        "created_at",
    )
    return {key: getattr(encoder, key) for key in keys}


def batches(session: Session, encoder: Encoder) -> Iterator[list[dict[str, Any]]]:
    """The members of the document's `features`, in lists, by frame id; `orjson` writes them with its numpy option.

    Memory: one list at a time.
    """
    statement = (
        select(
            Instance.file_name,
            Group.key.label("group"),
            Instance.sop_instance_uid,
            Frame.frame_number,
            Instance.sha256,
            Instance.study_instance_uid,
            Instance.series_instance_uid,
            Instance.sop_class_uid,
            Instance.transfer_syntax_uid,
            Instance.modality,
            Instance.body_part,
            Instance.photometric,
            Instance.burned_in_annotation,
            Instance.laterality,
            Instance.view_position,
            Instance.ultrasound_regions,
            Instance.frame_count,
            Instance.created_at,
            Frame.picture,
            Frame.rows,
            Frame.columns,
            Frame.pipeline,
            Frame.steps,
            case((Feature.pipeline != Frame.pipeline, Feature.pipeline)).label("feature_pipeline"),
            GroupPart.part,
            Frame.instance_id,
            Feature.vector,
        )
        .select_from(Feature)
        .join(Frame, Frame.id == Feature.frame_id)
        .join(Instance, Instance.id == Frame.instance_id)
        .join(Group, Group.id == Instance.group_id)
        .outerjoin(GroupPart, and_(GroupPart.group_id == Group.id, GroupPart.encoder_id == Feature.encoder_id))
        .where(Feature.encoder_id == encoder.id)
        .order_by(Feature.frame_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    for rows in session.execute(statement).partitions():
        labels = _labels(session, {row.instance_id for row in rows})
        features = features_to_write([row.vector for row in rows], encoder.dimension)
        yield [
            _member(row._mapping, labels.get(row.instance_id, {}), feature)
            for row, feature in zip(rows, features, strict=True)
        ]


def _labels(session: Session, instance_ids: set[int]) -> Labels:
    labels: Labels = {}
    statement = select(Label.instance_id, Label.name, Label.value, Label.origin)
    for instance_id, name, value, origin in session.execute(
        statement.where(Label.instance_id.in_(instance_ids)).order_by(Label.id)
    ):
        labels.setdefault(instance_id, {})[name] = value, origin
    return labels


def features_to_write(vectors: Sequence[bytes], dimension: int) -> list[Any]:
    """Each feature as what is to be written: float32, whose shortest text is short, wherever that is safe.

    Readers take the text for a float64 and round that to float32. Once in some billion numbers the first rounding
    falls on the midpoint that makes the second go astray; such a feature is written as float64, which cannot.
    """
    exact = np.frombuffer(b"".join(vectors), STORED).reshape(len(vectors), dimension)
    text = orjson.dumps(exact.astype(np.float32, copy=False), option=orjson.OPT_SERIALIZE_NUMPY)
    read = np.array(orjson.loads(text), np.float64).reshape(exact.shape).astype(STORED)
    safe = (read.view("<u4") == exact.view("<u4")).all(axis=1)
    return [
        feature.astype(np.float32, copy=False) if good else feature.astype(np.float64)
        for feature, good in zip(exact, safe, strict=True)
    ]


def _member(row: RowMapping, labels: dict[str, tuple[str, str]], feature: Any) -> dict[str, Any]:
    values = {name: value for name, (value, _) in labels.items()}
    member = {
        **row,
        "feature": feature,
        "label": values.get("subclass", values.get("modality")),
        "labels": values,
        "label_origins": {name: origin for name, (_, origin) in labels.items()},
    }
    del member["vector"], member["instance_id"]
    first = {key: member.pop(key) for key in REQUIRED}
    return first | {key: value for key, value in member.items() if value not in (None, "", {}, [])}
