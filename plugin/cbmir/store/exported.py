"""Rows of the JSON document out of the database."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import ColumnElement, Connection, Row, String, and_, case, func, select, type_coerce
from sqlalchemy.orm import Session

from cbmir.store.features import STORED
from cbmir.store.tables import Encoder, Feature, Frame, Group, GroupPart, Instance, Label
from cbmir.store.writing import is_sqlite

ROWS_AT_ONCE = 2_000
REQUIRED = ("file_name", "feature", "label", "labels", "group", "sop_instance_uid", "frame_number", "sha256")
OPTIONAL = (
    "study_instance_uid",
    "series_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "modality",
    "body_part",
    "photometric",
    "burned_in_annotation",
    "laterality",
    "view_position",
    "frame_count",
    "created_at",
    "picture",
    "rows",
    "columns",
    "pipeline",
    "part",
    "feature_pipeline",
    "ultrasound_regions",
    "steps",
)
"""Keys that are left out where there is nothing to say."""

AS_JSON = {"ultrasound_regions", "steps"}
NOTHING = "[]"
NO_LABELS: tuple[int, dict[str, str], dict[str, str], None] = (0, {}, {}, None)
FloatArray64 = npt.NDArray[np.float64]


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
            Feature.vector,
            Frame.instance_id,
            Instance.file_name,
            Group.key,
            Instance.sop_instance_uid,
            Frame.frame_number,
            Instance.sha256,
            *_optional(session),
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
    connection = session.connection()  # plain rows: a session would look for objects in each
    for rows in connection.execute(statement).partitions():
        labels = _labels(connection, {row[1] for row in rows})
        numbers = numbers_to_write(b"".join(row[0] for row in rows), encoder.dimension)
        yield [_member(row, labels.get(row[1]), feature) for row, feature in zip(rows, numbers, strict=True)]


def _optional(session: Session) -> Iterator[ColumnElement[Any]]:
    """The columns of `OPTIONAL`, in order. What SQLite keeps as text already stays text: to parse it, only to write
    it again, would take longer than all the rest."""
    columns = {
        **{
            name: getattr(Instance, name) for name in ("study_instance_uid", "series_instance_uid", "sop_class_uid")
        },
        **{name: getattr(Instance, name) for name in ("transfer_syntax_uid", "modality", "body_part")},
        **{name: getattr(Instance, name) for name in ("photometric", "burned_in_annotation", "laterality")},
        **{name: getattr(Instance, name) for name in ("view_position", "frame_count", "created_at")},
        **{name: getattr(Frame, name) for name in ("picture", "rows", "columns", "pipeline")},
        "part": GroupPart.part,
        "feature_pipeline": case((Feature.pipeline != Frame.pipeline, Feature.pipeline)),
        "ultrasound_regions": type_coerce(Instance.ultrasound_regions, String),
        "steps": type_coerce(Frame.steps, String),
    }
    if is_sqlite(session):
        kept = type_coerce(Instance.created_at, String)
        columns["created_at"] = func.replace(kept, " ", "T", type_=String).concat("+00:00")
    return (columns[name] for name in OPTIONAL)


def _labels(connection: Connection, instance_ids: set[int]) -> dict[int, Row[Any]]:
    """Of each instance that has any: its labels' values, their origins, and what `label` is. On SQLite the first
    two are JSON already."""
    sqlite = connection.dialect.name == "sqlite"
    together = func.json_group_object if sqlite else func.json_object_agg
    by_name = {name: func.max(case((Label.name == name, Label.value))) for name in ("subclass", "modality")}
    statement = select(
        Label.instance_id,
        together(Label.name, Label.value, type_=String),
        together(Label.name, Label.origin, type_=String),
        func.coalesce(by_name["subclass"], by_name["modality"]),
    )
    mine = statement.where(_among(instance_ids)).group_by(Label.instance_id)
    return {row[0]: row for row in connection.execute(mine).all()}


def _among(instance_ids: set[int]) -> ColumnElement[bool]:
    """The labels of these instances: a range where they lie close together, which is quicker than to name them."""
    first, last = min(instance_ids), max(instance_ids)
    if last - first < 4 * len(instance_ids):
        return Label.instance_id.between(first, last)
    return Label.instance_id.in_(instance_ids)


def numbers_to_write(vectors: bytes, dimension: int) -> FloatArray64:
    """Features as numbers whose text is short, and reads back to the same float32 bit for bit.

    Readers take the text for a float64 and round that to float32, so the shortest text that names a float32 is not
    safe: once in some billion numbers the first rounding makes the second go astray. Nine significant digits always
    are: they are within 0.5e-8 of the number's power of two, and the next float32 is six times as far at least.

    Args:
        vectors: n * dimension float32, little endian.
        dimension: numbers of a feature.

    Returns:
        float64 [n, dimension]: each the float64 nearest to nine or ten decimal digits; the exact number where it is
        below 1e-14 or above 1e9.
    """
    exact = np.frombuffer(vectors, STORED).astype(np.float32, copy=False)
    scales = SCALES[(exact.view(np.uint32) >> 23) & 0xFF]
    numbers = np.rint(exact * scales) / scales
    np.copyto(numbers, exact, where=np.isnan(scales))
    shaped: FloatArray64 = numbers.reshape(-1, dimension)
    return shaped


def _scale(exponent: int) -> float:
    """The power of ten that leaves nine or ten digits before the point of numbers from 2**exponent on; NaN where it
    is none that float64 holds exactly."""
    places = 8 - math.floor(exponent * math.log10(2))
    return 10.0**places if 0 <= places <= 22 else math.nan


SCALES = np.array([_scale(biased - 127) for biased in range(256)])
"""By the exponent as float32 stores it (IEEE 754, binary32)."""


def _member(row: Row[Any], labels: Row[Any] | None, feature: Any) -> dict[str, Any]:
    _, _, file_name, group, sop_instance_uid, frame_number, sha256, *others = tuple(row)
    _, values, origins, label = tuple(labels or NO_LABELS)
    optional = {name: value for name, value in zip(OPTIONAL, others, strict=True) if value and value != NOTHING}
    for name in AS_JSON & optional.keys():
        optional[name] = _parsed(optional[name])
    return {
        "file_name": file_name,
        "feature": feature,
        "label": label,
        "labels": _as_json(values),
        "group": group,
        "sop_instance_uid": sop_instance_uid,
        "frame_number": frame_number,
        "sha256": sha256,
        "label_origins": _as_json(origins),
        **optional,
    }


def _as_json(value: Any) -> Any:
    """Labels for `orjson`: SQLite gives them as the text of JSON, by name; PostgreSQL as what such a text says."""
    return orjson.Fragment(value) if isinstance(value, str) else dict(sorted(value.items()))


def _parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value
