"""Rows of the JSON document out of the database; `document_text` makes text of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    String,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from cbmir.store.document_text import COMMON, Columns
from cbmir.store.tables import Encoder, Feature, Frame, Group, GroupPart, Instance, Label
from cbmir.store.writing import is_sqlite

ROWS_AT_ONCE = 5_000
BETWEEN = "\x1e"
"""Parts texts of JSON, none of which holds it (RFC 7464)."""


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


def selected(session: Session, encoder: Encoder) -> Iterator[Columns]:
    """What the document's `features` are made of, by frame id, a batch of rows at a time.

    The database puts a batch together, outside the lock of Python's interpreter: another thread works meanwhile.
    Memory: one batch.
    """
    statement, after = _batch(session, encoder), 0
    while (found := session.execute(statement, {"after": after}).one())[0] is not None:
        after, vectors, common, labels, *lists = found
        texts = (text.split(BETWEEN) for text in (common, labels))
        yield Columns(vectors, *map(orjson.loads, lists), *texts)


def _batch(session: Session, encoder: Encoder) -> Select[*tuple[Any, ...]]:
    """The rows above the frame id `after` as one: the last frame id, then what `Columns` is made of."""
    each = _rows(session, encoder).subquery().c
    listed = func.json_group_array if is_sqlite(session) else func.json_agg
    lists = each.file_name, each.sop_instance_uid, each.frame_number, each.sha256, each.created_at, each.picture
    return select(
        func.max(each.frame_id),
        _one_after_the_other(session, each.vector),
        func.aggregate_strings(each.common, BETWEEN),
        func.aggregate_strings(each.labels, BETWEEN),
        *(cast(listed(column), Text) for column in lists),
    )


def _rows(session: Session, encoder: Encoder) -> Select[*tuple[Any, ...]]:
    common = _list(session)(Group.key, *_common_columns())
    after = bindparam("after", type_=Integer)
    return (
        select(
            Feature.frame_id,
            Feature.vector,
            Instance.file_name,
            Instance.sop_instance_uid,
            Frame.frame_number,
            Instance.sha256,
            _created_at(session).label("created_at"),
            Frame.picture,
            cast(common, Text).label("common"),
            func.coalesce(_labels_of_instance(session), "").label("labels"),
        )
        .select_from(Feature)
        .join(Frame, Frame.id == Feature.frame_id)
        .join(Instance, Instance.id == Frame.instance_id)
        .join(Group, Group.id == Instance.group_id)
        .outerjoin(GroupPart, and_(GroupPart.group_id == Group.id, GroupPart.encoder_id == Feature.encoder_id))
        .where(Feature.encoder_id == encoder.id, Feature.frame_id > after)
        .where(Frame.id > after)  # the same again: PostgreSQL would pass over all frames before, batch by batch
        .order_by(Feature.frame_id)
        .limit(ROWS_AT_ONCE)
    )


def _one_after_the_other(session: Session, vector: ColumnElement[bytes]) -> ColumnElement[bytes]:
    if is_sqlite(session):  # which joins texts alone; a cast leaves the octets as they are
        return cast(func.aggregate_strings(cast(vector, Text), ""), LargeBinary)
    return func.string_agg(vector, literal(b""))


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
