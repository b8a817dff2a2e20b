"""Tables of pgvector's, one an encoder, in the schema `cbmir_index`: made from `features`, and dropped at any time.

They are no part of the migrations: what they hold is derived, and SQLite has nothing of the kind. A table's comment
is what its owner wants to remember of it; it comes and goes with the table, in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pgvector.psycopg import register_vector
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    MetaData,
    Table,
    text,
)
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session
from sqlalchemy.schema import SetTableComment

from cbmir.errors import NotFound, Unavailable
from cbmir.store.session import translated
from cbmir.types import FloatArray, IdArray

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
