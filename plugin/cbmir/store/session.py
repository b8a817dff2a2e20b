"""The way into the database: one engine a process, sessions that say whether they write."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, CbmirError, DatabaseUnavailable, DiskFull, SchemaOutdated

BUSY_TIMEOUT_SECONDS = 30

# PostgreSQL's SQLSTATE (its manual, appendix A) and SQLite's result codes
UNDEFINED = ("42P01", "42703")
FULL = ("53100", "SQLITE_FULL")
BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "40P01", "55P03")
DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")


class Database:
    """Sessions on one database.

    Args:
        url: SQLAlchemy URL of SQLite or PostgreSQL.

    Attributes:
        url: with the password, if there is one: never shown.
        is_sqlite: otherwise it is PostgreSQL.

    Raises:
        cbmir.errors.BadRequest: if the URL is of neither.
    """

    def __init__(self, url: str) -> None:
        parsed = _checked(url)
        self.url = parsed.render_as_string(hide_password=False)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        apart: dict[str, Any] = {"hide_parameters": True}  # values are patient data: no error may quote them
        if self.is_sqlite:
            self.engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **apart)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(parsed, pool_pre_ping=True, **apart)
        self._writing = self.engine.execution_options(writes=True)
        weakref.finalize(self, self.engine.dispose).atexit = False  # else nobody would close what is kept open

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; what it returns stays usable after it is closed."""
        with translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on any error; on SQLite it holds the write lock."""
        with translated(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise BadRequest(
            "The database URL is not one.", "Write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME."
        ) from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise BadRequest(f"{parsed.get_backend_name()} is not supported.", "Use SQLite or PostgreSQL.")
    return parsed


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy, not the driver, begins transactions
    cursor = connection.cursor()
    # secure_delete: what is deleted is overwritten in the file too, whatever this SQLite was built to do by itself
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # a writer that began as a reader cannot be upgraded once another has written: it takes the lock at once
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def translated() -> Iterator[None]:
    """Foreign errors of a database leave the block as ours; a mistake in our own SQL leaves it as it is."""
    try:
        yield
    except DBAPIError as error:
        known = _translate(error)
        if known is None:
            raise
        raise known from error


def _translate(error: DBAPIError) -> CbmirError | None:
    """What the user should know of a foreign error; None for one that is a mistake in our own SQL."""
    said = str(error.orig).partition("\n")[0].rstrip(".")
    code: str = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None) or ""
    if code in UNDEFINED or said.startswith(("no such table", "no such column")):
        return SchemaOutdated("The database lacks a table of this version.", "Run `cbmir db upgrade`.")
    if code in FULL:
        return DiskFull("The database's disk is full.", "Free space, then repeat.")
    if code.startswith(BUSY):
        return DatabaseUnavailable("The database is busy with another writer.", "Repeat in a minute.")
    if code.startswith("SQLITE_IOERR"):  # also where a full disk has no room for the file beside it
        return DatabaseUnavailable(
            f"The database's disk cannot be read or written: {said}.", "Check that it has room and is in order."
        )
    if "NUL (0x00)" in said:  # of psycopg; SQLite keeps such text
        return BadRequest("A text holds the character NUL, which the database does not take.", "Leave it out.")
    if code.startswith(DAMAGED):
        return DatabaseUnavailable(
            f"The database's file is damaged, or is none: {said}.",
            "Put back a backup of it, and remove the -wal and -shm beside the damaged one.",
        )
    if isinstance(error, OperationalError | InterfaceError) and code != "SQLITE_ERROR":
        return DatabaseUnavailable(
            f"The database does not answer: {said}.", "Check that it runs and that its URL is right."
        )
    return None
