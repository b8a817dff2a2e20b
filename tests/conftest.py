"""What every test may ask for: an installation of its own, on SQLite and on PostgreSQL, and real data."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

import cbmir_migrations
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Base

SHARED = Path(__file__).resolve().parents[2] / "shared"
POSTGRES_PROGRAMS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")


@pytest.fixture
def shared() -> Path:
    """The folder of real images and DICOM objects beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared")
    return SHARED


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: the one in CBMIR_TEST_POSTGRES, else one of these tests' own."""
    given = os.environ.get("CBMIR_TEST_POSTGRES")
    programs = postgres_programs()
    if given:
        yield given
    elif programs is None:
        pytest.skip("needs PostgreSQL: run `make services`, or set CBMIR_TEST_POSTGRES to a server's URL")
    else:
        with tempfile.TemporaryDirectory(prefix="cbmir-pg-") as folder, own_postgres(programs, Path(folder)) as url:
            yield url


def postgres_programs() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = [Path(path) for pattern in POSTGRES_PROGRAMS for path in glob(pattern)]
    on_path = shutil.which("initdb")
    found += [Path(on_path).resolve().parent] if on_path else []
    return max((path for path in found if (path / "initdb").is_file()), default=None)


@contextmanager
def own_postgres(programs: Path, folder: Path) -> Iterator[str]:
    """A server without durability on a socket in `folder`; it refuses to run as root: another user does it then."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    user = None
    if os.geteuid() == 0:
        user = "postgres" if any(each.pw_name == "postgres" for each in pwd.getpwall()) else "nobody"
        shutil.chown(folder, user)
        shutil.chown(data, user)
    how = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    made = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run(made, check=True, **how)
    careless = ("listen_addresses=", "fsync=off", "full_page_writes=off", "synchronous_commit=off")
    options = [word for setting in careless for word in ("-c", setting)]
    with subprocess.Popen([programs / "postgres", "-D", data, "-k", folder, *options], **how) as server:
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        wait_for_postgres(url)
        try:
            yield url
        finally:
            server.send_signal(signal.SIGINT)


def wait_for_postgres(url: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    deadline = time.monotonic() + 60
    while True:
        try:
            engine.connect().close()
            return
        except OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.1)


@contextmanager
def new_postgres(server: str) -> Iterator[str]:
    """An empty PostgreSQL database, dropped afterwards."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"cbmir_test_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield engine.url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    with new_postgres(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres_url(postgres_server: str) -> Iterator[str]:
    """A migrated PostgreSQL database that tests share, one after the other: making one takes a second."""
    with new_postgres(postgres_server) as url:
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
