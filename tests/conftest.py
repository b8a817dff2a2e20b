"""What every test may ask for: an installation of its own, on SQLite and on PostgreSQL, and real data."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

import cbmir_migrations
from cbmir.settings import Settings
from cbmir.store.session import Database

SHARED = Path(__file__).resolve().parents[2] / "shared"
POSTGRES = os.environ.get("CBMIR_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture
def shared() -> Path:
    """The folder of real images and DICOM objects beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared")
    return SHARED


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database of this test's own, dropped afterwards."""
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
    """A migrated database, once on SQLite and once on a real PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'any.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url")
    cbmir_migrations.upgrade(url)
    database = Database(url)
    yield database
    database.dispose()
