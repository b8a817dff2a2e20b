"""Bring a database up to date, and say whether it is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, make_url, text

from cbmir.errors import DatabaseUnavailable, DiskFull, SchemaOutdated
from cbmir.store.session import Database

SCRIPTS = Path(__file__).parent
LOCK = 0x63626D6972  # "cbmir" in ASCII: the number of PostgreSQL's advisory lock


class State(StrEnum):
    """How a database's schema stands to this version of cbmir."""

    MISSING = "missing"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


def upgrade(url: str) -> None:
    """Bring the database to this version's schema, in one transaction; harmless where it is there already.

    Two processes may do this at once: the second waits, then finds nothing to do. A SQLite file and its folder are
    made where they are missing.

    Args:
        url: SQLAlchemy URL of SQLite or PostgreSQL.

    Raises:
        cbmir.errors.SchemaOutdated: if the database was made by a newer version.
        cbmir.errors.DatabaseUnavailable: if it does not answer.
        cbmir.errors.DiskFull: if there is no room for it.
    """
    found = state(url)
    if found == State.AHEAD:
        raise SchemaOutdated(
            "The database was made by a newer version of cbmir.", "Install that version, or use another database."
        )
    if found != State.CURRENT:
        _make_folder(url)
        _upgrade(url)


def state(url: str) -> State:
    """Compare the database's revision with those of this version; changes nothing, makes no SQLite file.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer.
    """
    file = _sqlite_file(url)
    if file is not None and not file.exists():
        return State.MISSING
    database = Database(url)
    try:
        with database.read() as session:
            return _compare(MigrationContext.configure(session.connection()).get_current_revision())
    finally:
        database.dispose()


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, which needs no file: it works from an installed wheel too."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _compare(revision: str | None) -> State:
    if revision is None:
        return State.MISSING
    scripts = ScriptDirectory.from_config(configuration())
    if revision == scripts.get_current_head():
        return State.CURRENT
    return State.BEHIND if revision in {each.revision for each in scripts.walk_revisions()} else State.AHEAD


def _upgrade(url: str) -> None:
    database = Database(url)
    if database.is_sqlite:
        event.listen(database.engine, "connect", _release_foreign_keys)
    try:
        with database.write() as session:
            connection = session.connection()
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            command.upgrade(configuration(connection), "head")
    finally:
        database.dispose()


def _release_foreign_keys(connection: Any, _record: Any) -> None:
    # batch mode drops and copies tables: with foreign keys on, dropping one would delete the rows that point to it
    connection.execute("PRAGMA foreign_keys = OFF")


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url) if url.startswith("sqlite") else None
    return Path(parsed.database) if parsed is not None and parsed.database else None


def _make_folder(url: str) -> None:
    file = _sqlite_file(url)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = DiskFull if error.errno == 28 else DatabaseUnavailable
        raise kind(
            f"The folder {file.parent} cannot be made: {error.strerror}.", "Choose another with --data."
        ) from error
