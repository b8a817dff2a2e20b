"""What every test may ask for: an installation of its own, on SQLite and on PostgreSQL, and real data."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

import cbmir_migrations
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Base

SHARED = Path(__file__).resolve().parents[2] / "shared"
POSTGRES = os.environ.get("CBMIR_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture
def shared() -> Path:
    """The folder of real images and DICOM objects beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared")
    return SHARED


@contextmanager
def new_postgres() -> Iterator[str]:
    """An empty PostgreSQL database, dropped afterwards; skips the test where there is no server."""
    engine = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"cbmir_test_{uuid.uuid4().hex}"
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError:
        engine.dispose()
        pytest.skip("needs PostgreSQL: run `make services`, or set CBMIR_TEST_POSTGRES to a server's URL")
    yield engine.url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    with new_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL database that tests share, one after the other: making one takes a second."""
    with new_postgres() as url:
        cbmir_migrations.upgrade(url)
        yield url


def empty(url: str) -> None:
    """Delete all rows, after whatever an earlier test left connected has been thrown out."""
    engine = create_engine(url)
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation in a folder of this test's own, on SQLite."""
    return Settings(data=tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The migrated SQLite database of `settings`."""
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database without rows, once on SQLite and once on a real PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'any.sqlite'}"
        cbmir_migrations.upgrade(url)
    else:
        url = request.getfixturevalue("migrated_postgres_url")
        empty(url)
    database = Database(url)
    yield database
    database.dispose()
