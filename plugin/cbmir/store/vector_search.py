"""Searches in the tables of `cbmir.store.vector_tables`, with filters, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, ColumnElement, Select, Table, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session

from cbmir.store.filters import Where
from cbmir.store.tables import Frame, Instance
from cbmir.store.vector_tables import width_of
from cbmir.types import FloatArray, IdArray


def count(session: Session, table: Table, until: int) -> int:
    """Members of generations up to one."""
    return session.scalar(select(func.count()).where(table.c.generation <= until)) or 0


def ids(session: Session, table: Table, until: int, among: IdArray | None = None) -> IdArray:
    """Those members, or those of them that are among some: int64 (n,), ascending."""
    members = select(table.c.frame_id).where(table.c.generation <= until).order_by(table.c.frame_id)
    if among is not None:
        members = members.where(_one_of(table, among))
    return np.fromiter(session.scalars(members), np.int64)


def sample(session: Session, table: Table, wanted: int) -> tuple[IdArray, FloatArray]:
    """Some members whose ids are spread over all: int64 (n,), float32 (n, d), n at most `wanted`."""
    lowest, highest = session.execute(select(func.min(table.c.frame_id), func.max(table.c.frame_id))).one()
    if lowest is None:
        return _rows([], table)
    places = np.unique(np.linspace(lowest, highest, wanted).astype(np.int64))
    wished = func.unnest(_array(places)).table_valued("place").render_derived()
    member = (
        select(table.c.frame_id, table.c.vector)
        .where(table.c.frame_id >= wished.c.place)
        .order_by(table.c.frame_id)
        .limit(1)
        .lateral()
    )
    found = select(member).ext(distinct_on(member.c.frame_id)).select_from(wished).join(member, literal(True))
    return _rows(session.execute(found).all(), table)


def pieces(session: Session, table: Table, rows: int) -> Iterator[tuple[IdArray, FloatArray]]:
    """All members, so many at a time."""
    everyone = select(table.c.frame_id, table.c.vector).execution_options(yield_per=rows)
    for piece in session.execute(everyone).partitions():
        yield _rows(piece, table)


def nearest(
    session: Session,
    table: Table,
    query: FloatArray,
    limit: int,
    *,
    breadth: int | None,
    until: int,
    among: IdArray | None,
    where: Where | None = None,
) -> tuple[IdArray, FloatArray]:
    """Members near to a query, float32 (d,): int64 (n,), float32 (n, d), n at most `limit`.

    Args:
        session: in whose transaction the search's settings hold.
        table: an encoder's.
        query: a feature.
        limit: how many are wanted.
        breadth: how many the graph's walk keeps in mind, at most 1,000; None looks at all members one by one.
        until: generation up to which members count.
        among: int64, the only ids that count; None for all.
        where: only what this filter keeps counts.
    """
    far: ColumnElement[float] = table.c.vector.l2_distance(query)
    if breadth is None:
        far = far + 0.0  # which no index is of
    else:
        session.execute(select(func.set_config("hnsw.ef_search", str(breadth), True), *_FILTERS_WHILE_WALKING))
    statement = _members(table, until, where).order_by(far).limit(limit)
    if among is not None:
        statement = statement.where(_one_of(table, among))
    return _rows(session.execute(statement).all(), table)


_FILTERS_WHILE_WALKING = (func.set_config("hnsw.iterative_scan", "strict_order", True),)


def _members(table: Table, until: int, where: Where | None) -> Select[tuple[int, FloatArray]]:
    members = select(table.c.frame_id, table.c.vector).where(table.c.generation <= until)
    if where is None:
        return members
    joined = members.join(Frame, Frame.id == table.c.frame_id).join(Instance, Instance.id == Frame.instance_id)
    return joined.where(*where.clause())


def _one_of(table: Table, some: IdArray) -> ColumnElement[bool]:
    return table.c.frame_id == any_(_array(some))


def _array(some: IdArray) -> ColumnElement[Sequence[int]]:
    return literal(some.tolist(), ARRAY(BigInteger))


def _rows(rows: Sequence[Any], table: Table) -> tuple[IdArray, FloatArray]:
    vectors = np.array([row[1] for row in rows], np.float32).reshape(len(rows), width_of(table))
    return np.array([row[0] for row in rows], np.int64), vectors
