"""Rows of the JSON document out of the database."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import ColumnElement, String, Text, and_, cast, func, select, type_coerce
from sqlalchemy.orm import Session

from cbmir.store.features import STORED
from cbmir.store.tables import Encoder, Feature, Frame, Group, GroupPart, Instance, Label
from cbmir.store.writing import is_sqlite

ROWS_AT_ONCE = 2_000
REQUIRED = ("file_name", "feature", "label", "labels", "group", "sop_instance_uid", "frame_number", "sha256")
BEFORE = (
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
)
AFTER = ("rows", "columns", "pipeline", "part", "feature_pipeline", "ultrasound_regions", "steps")
COMMON = BEFORE + AFTER
"""Keys that stand before and after `created_at` and `picture`, left out where there is nothing to say."""

REMEMBERED = 1024
"""Texts of what frames have in common that are kept at a time: neighbours are mostly of one series."""

_LINES = msgspec.json.Encoder()
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


def batches(session: Session, encoder: Encoder) -> Iterator[list[str]]:
    """The members of the document's `features`, by frame id: in lists, each the text of a JSON object.

    Memory: one list at a time.
    """
    common_texts, label_texts = lru_cache(REMEMBERED)(_common), lru_cache(REMEMBERED)(_labels)
    for rows in selected(session, encoder):
        vectors, names, uids, numbers, hashes, moments, pictures, common, labels = zip(*rows, strict=True)
        features = _as_texts(numbers_to_write(b"".join(vectors), encoder.dimension))
        texts = map(common_texts, common), map(label_texts, labels)
        quoted = _quoted(names), features, _quoted(uids), _quoted(moments)
        yield list(map(_member, *quoted, *texts, numbers, hashes, pictures))


def selected(session: Session, encoder: Encoder) -> Iterator[Sequence[Any]]:
    """What the members are made of, in lists: the vector, a frame's own columns, and as the text of JSON those that
    frames have in common (a list: group and `COMMON`) and the labels (an object: name to value and origin)."""
    statement = (
        select(
            Feature.vector,
            Instance.file_name,
            Instance.sop_instance_uid,
            Frame.frame_number,
            Instance.sha256,
            _created_at(session),
            Frame.picture,
            cast(_list(session)(Group.key, *_common_columns()), Text),
            _labels_of_instance(session),
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
    # plain rows: a session would look for objects in each
    return session.connection().execute(statement).partitions()


def _created_at(session: Session) -> ColumnElement[str]:
    """As text, which is what SQLite keeps: to parse it, only to write it again, would take long."""
    if is_sqlite(session):
        return func.replace(type_coerce(Instance.created_at, String), " ", "T", type_=String).concat("+00:00")
    return func.to_char(func.timezone("UTC", Instance.created_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')


def _common_columns() -> Iterator[Any]:
    """Of `COMMON`, in order."""
    others = {"part": GroupPart.part, "feature_pipeline": Feature.pipeline}
    others |= {name: getattr(Frame, name) for name in ("rows", "columns", "pipeline", "steps")}
    return (others[name] if name in others else getattr(Instance, name) for name in COMMON)


def _labels_of_instance(session: Session) -> ColumnElement[str]:
    together = func.json_group_object if is_sqlite(session) else func.json_object_agg
    each = together(Label.name, _list(session)(Label.value, Label.origin))
    return select(cast(each, Text)).where(Label.instance_id == Instance.id).scalar_subquery()


def _list(session: Session) -> Callable[..., ColumnElement[Any]]:
    return func.json_array if is_sqlite(session) else func.json_build_array


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


def _as_texts(numbers: FloatArray64) -> list[str]:
    """The numbers of each row, between commas."""
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].decode().split("],[")


def _quoted(values: Sequence[Any]) -> list[str]:
    """The JSON text of each; none holds a line's end."""
    return _LINES.encode_lines(values).decode().split("\n")[:-1]


def _member(
    name: str,
    feature: str,
    uid: str,
    moment: str,
    common: tuple[str, str, str],
    labels: tuple[str, str],
    frame_number: int,
    sha256: str,
    picture: str,
) -> str:
    group, study, rest = common
    named, origins = labels
    shelf = f',"picture":"{picture}"' if picture else ""
    return (
        f'{{"file_name":{name},"feature":[{feature}]{named}{group},"sop_instance_uid":{uid}'
        f',"frame_number":{frame_number},"sha256":"{sha256}"{origins}{study},"created_at":{moment}{shelf}{rest}}}'
    )


def _common(columns: str) -> tuple[str, str, str]:
    """The texts of what frames have in common: the group, what stands before `created_at`, and after `picture`."""
    group, *values = orjson.loads(columns)
    found = dict(zip(COMMON, values, strict=True))
    if found["feature_pipeline"] == found["pipeline"]:
        del found["feature_pipeline"]
    for name in ("ultrasound_regions", "steps"):
        found[name] = orjson.loads(found[name]) if isinstance(found[name], str) else found[name]
    study, rest = (_pairs({name: found[name] for name in some if found.get(name)}) for some in (BEFORE, AFTER))
    return _pairs({"group": group}), study, rest


def _labels(columns: str | None) -> tuple[str, str]:
    """The texts of an instance's labels: `label` with `labels`, and `label_origins`; both by name."""
    found = sorted(orjson.loads(columns or "{}").items())
    values, origins = ({name: pair[which] for name, pair in found} for which in (0, 1))
    label = values.get("subclass", values.get("modality"))
    return _pairs({"label": label, "labels": values}), _pairs({"label_origins": origins})


def _pairs(members: dict[str, Any]) -> str:
    """Members of an object as text, each after a comma."""
    return "".join(f',"{name}":{_text(value)}' for name, value in members.items())


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
