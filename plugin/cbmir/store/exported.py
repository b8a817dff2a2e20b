"""Rows of the JSON document out of the database; `document_text` makes text of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, String, Text, and_, cast, func, select, type_coerce
from sqlalchemy.orm import Session

from cbmir.store import encoders
from cbmir.store.document_text import COMMON, Columns
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Feature, Frame, Group, GroupPart, Instance, Label
from cbmir.store.writing import is_sqlite

ROWS_AT_ONCE = 2_000


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


def read(url: str, encoder_id: str) -> Iterator[Columns]:
    """What `selected` gives, out of the database at the URL as it is at the beginning."""
    database = Database(url)
    try:
        with database.read() as session:
            freeze(session)
            yield from selected(session, encoders.usable(session, encoder_id))
    finally:
        database.dispose()


def selected(session: Session, encoder: Encoder) -> Iterator[Columns]:
    """What the document's `features` are made of, by frame id, a batch of rows at a time.

    Memory: one batch.
    """
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
    for rows in session.connection().execute(statement).partitions():
        vectors, *others = zip(*rows, strict=True)
        yield Columns(b"".join(vectors), *others)


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
