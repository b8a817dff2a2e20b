"""What every writer needs: inserts that several processes may do at once, and text that both databases take."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cbmir.store.tables import Base

INSTANCES_LOCK = 0x63626D6973  # a number of our own among PostgreSQL's advisory locks

AT_ONCE = 500
"""Values that one statement names: below the bound of either database."""

Each = TypeVar("Each")


def is_sqlite(session: Session) -> bool:
    """Whether the session is on SQLite."""
    return session.get_bind().dialect.name == "sqlite"


def insert(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the session's dialect; of plain rows, which is the fast way for many."""
    plain = cast(Table, table.__table__)
    return sqlite.insert(plain) if is_sqlite(session) else postgresql.insert(plain)


def insert_new(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows that break no unique constraint; leave those that stand there already as they are."""
    if rows:
        session.execute(insert(session, table).on_conflict_do_nothing(), rows)


def serialise(session: Session) -> None:
    """Let no other transaction add instances until this one ends: what is not found from now on may be added.

    On SQLite a writing session excludes all others anyway.
    """
    if not is_sqlite(session):
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": INSTANCES_LOCK})


def storable(value: str, limit: int | None = None) -> str:
    """Text that both databases take: without NUL and lone surrogates, cut to `limit` characters."""
    return value.replace("\0", "").encode("utf-8", "backslashreplace").decode("utf-8")[:limit]


def in_pieces(values: Collection[Each], size: int = AT_ONCE) -> Iterator[list[Each]]:
    """The values, so many at a time."""
    rest = iter(values)
    while piece := list(islice(rest, size)):
        yield piece
