"""Tables of pgvector's, one an encoder, in the schema `cbmir_index`: made from `features`, and dropped at any time.

They are no part of the migrations: what they hold is derived, and SQLite has nothing of the kind. A table's comment
is what its owner wants to remember of it; it comes and goes with the table, in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from pgvector.psycopg import register_vector
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    MetaData,
    Select,
    Table,
    any_,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session
from sqlalchemy.schema import SetTableComment

from cbmir.errors import NotFound, Unavailable
from cbmir.store.features import IdArray
from cbmir.store.filters import Where
from cbmir.store.session import translated
from cbmir.store.tables import Frame, Instance
from cbmir.types import FloatArray

SCHEMA = "cbmir_index"
OLDEST = (0, 8)
"""The version that filters while it searches."""
WIDEST = 2_000
"""Numbers of a vector that its index takes."""
NEIGHBOURS, BUILD_BREADTH = 16, 100
LOCK = "cbmir index"

MISSING = ("42P01", "3F000")
FORBIDDEN = "42501"


def table_of(encoder_id: str, dimension: int, draft: bool = False) -> Table:
    """The table of an encoder, whether or not there is one."""
    digits = hashlib.sha256(encoder_id.encode()).hexdigest()[:24]
    return Table(
        f"features_{digits}{'_draft' if draft else ''}",
        MetaData(schema=SCHEMA),
        Column("frame_id", BigInteger, primary_key=True, autoincrement=False),
        Column("generation", BigInteger, nullable=False),
        Column("vector", VECTOR(dimension), nullable=False),
    )


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session of its own, for who searches.

    Raises:
        cbmir.errors.NotFound: if the table has gone meanwhile.
    """
    with translated(), _explained(), Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end.

    Raises:
        cbmir.errors.Unavailable: if this user of the database may not make tables.
    """
    with translated(), _explained(), Session(engine) as session, session.begin():
        yield session


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ProgrammingError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code in MISSING:
            raise NotFound("The index in the database has gone.", "Build it anew: `cbmir index build`.") from error
        if code == FORBIDDEN:
            raise Unavailable(
                "This user of the database may not make what the index needs.",
                f"As its owner: CREATE EXTENSION vector; CREATE SCHEMA {SCHEMA} AUTHORIZATION the user.",
            ) from error
        raise


def version(session: Session) -> tuple[int, ...] | None:
    """Of the extension that this server has; None where it has none."""
    offered = text("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
    there = text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    found = session.scalar(there) or session.scalar(offered)
    return None if found is None else tuple(int(part) for part in str(found).split("."))


def prepare(session: Session) -> None:
    """Make the extension and the schema, where they are missing."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:lock))"), {"lock": LOCK})
    for name, made in {
        "SELECT 1 FROM pg_extension WHERE extname = 'vector'": "CREATE EXTENSION vector",
        f"SELECT 1 FROM pg_namespace WHERE nspname = '{SCHEMA}'": f"CREATE SCHEMA {SCHEMA}",  # noqa: S608
    }.items():
        if session.scalar(text(name)) is None:
            session.execute(text(made))


def begin(session: Session, encoder_id: str, dimension: int) -> Table:
    """An empty draft of an encoder's table; whoever else makes one waits until this transaction ends."""
    draft = table_of(encoder_id, dimension, draft=True)
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:lock))"), {"lock": draft.fullname})
    draft.create(session.connection())
    return draft


def fill(session: Session, table: Table, ids: IdArray, generations: IdArray, vectors: FloatArray) -> None:
    """Add members: int64 (n,), int64 (n,), float32 (n, d)."""
    driver: Any = session.connection().connection.driver_connection
    register_vector(driver)
    into = f"COPY {table.fullname} (frame_id, generation, vector) FROM STDIN WITH (FORMAT BINARY)"
    with driver.cursor() as cursor, cursor.copy(into) as copy:
        copy.set_types(["int8", "int8", "vector"])
        for row in zip(ids.tolist(), generations.tolist(), vectors, strict=True):
            copy.write_row(row)


def finish(session: Session, draft: Table) -> None:
    """Make the graph that searches walk."""
    how = f"USING hnsw (vector vector_l2_ops) WITH (m = {NEIGHBOURS}, ef_construction = {BUILD_BREADTH})"
    session.execute(text(f"CREATE INDEX ON {draft.fullname} {how}"))
    session.execute(text(f"ANALYZE {draft.fullname}"))


def replace(session: Session, table: Table, draft: Table, note: str) -> None:
    """Put the draft in place of the table; who searches finds the one or the other."""
    drop(session, table)
    session.execute(text(f"ALTER TABLE {draft.fullname} RENAME TO {table.name}"))
    table.comment = note
    session.execute(SetTableComment(table))


def drop(session: Session, table: Table) -> None:
    """Take the table away, if it is there."""
    session.execute(text(f"DROP TABLE IF EXISTS {table.fullname}"))


def note(session: Session, table: Table) -> tuple[int, str | None] | None:
    """Object id and comment of the table; None where there is none."""
    told = "SELECT oid, obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(:name)"
    row = session.execute(text(told), {"name": table.fullname}).one_or_none()
    return None if row is None else (int(row[0]), row[1])


def size(session: Session, table: Table) -> int:
    """Bytes of the table and its indexes."""
    statement = text("SELECT pg_total_relation_size(to_regclass(:name))")
    return int(session.scalar(statement, {"name": table.fullname}) or 0)


def width_of(table: Table) -> int:
    """Numbers in one vector of a table as it is described here."""
    kind: Any = table.c.vector.type
    return int(kind.dim)


def dimension_of(session: Session, table: Table) -> int:
    """The same of the table as it is; 0 where there is none."""
    statement = text(
        "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = 'vector'"
    )
    return int(session.scalar(statement, {"name": table.fullname}) or 0)


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
