"""Sessions: who may write when, and what becomes of a database's own errors."""

from __future__ import annotations

import resource
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from cbmir.errors import BadRequest, DatabaseUnavailable, DiskFull, SchemaOutdated
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store import session as session_module
from cbmir.store.session import Database
from cbmir.store.tables import Instance, Job
from cbmir.types import JobKind


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x", "oracle://x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        Database(url)


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_postgresql_url_gets_the_driver_that_is_installed(driver: str) -> None:
    assert Database(f"{driver}://u@h/n").engine.url.drivername == "postgresql+psycopg"


def test_an_error_rolls_everything_back(any_database: Database) -> None:
    def stumble() -> None:
        with any_database.write() as session:
            jobs.create(session, JobKind.TRAIN, {})
            raise LookupError

    with pytest.raises(LookupError):
        stumble()
    with any_database.read() as session:
        assert jobs.listing(session) == []


def test_what_was_read_stays_usable(any_database: Database) -> None:
    with any_database.write() as session:
        job = jobs.create(session, JobKind.TRAIN, {"seed": 1})
    assert job.parameters == {"seed": 1}


def test_writers_queue_up_instead_of_failing(any_database: Database) -> None:
    with any_database.write() as session:
        job_id = jobs.create(session, JobKind.TRAIN, {}).id

    def count_up() -> None:
        for _ in range(10):
            with any_database.write() as session:
                row = session.get_one(Job, job_id, with_for_update=True)
                row.done += 1

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with any_database.read() as session:
        assert jobs.get(session, job_id).done == 40


def test_a_reader_does_not_wait_for_a_writer(any_database: Database) -> None:
    with any_database.write() as writer:
        jobs.create(writer, JobKind.TRAIN, {})
        with any_database.read() as reader:
            assert jobs.listing(reader) == []


def test_foreign_keys_are_held(any_database: Database) -> None:
    with pytest.raises(IntegrityError), any_database.write() as session:
        session.add(Instance(group_id=77, file_name="a", sha256="0" * 64))


def test_moments_are_aware_and_in_utc(any_database: Database) -> None:
    india = datetime(2024, 5, 6, 12, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with any_database.write() as session:
        job = jobs.create(session, JobKind.TRAIN, {})
        job.started_at = india
    with any_database.read() as session:
        found = jobs.get(session, job.id).started_at
    assert found == india
    assert found is not None
    assert found.tzinfo is UTC


def test_a_missing_table_or_column_asks_for_the_upgrade(tmp_path: Path, postgres_url: str) -> None:
    for url in (f"sqlite:///{tmp_path / 'empty.sqlite'}", postgres_url):
        database = Database(url)
        for statement in ("SELECT id FROM jobs", "SELECT lacking FROM there"):
            with pytest.raises(SchemaOutdated) as caught, database.write() as session:
                session.execute(text(statement))
            assert "cbmir db upgrade" in caught.value.remedy
        with database.write() as session:
            session.execute(text("CREATE TABLE there (something INTEGER)"))
        with pytest.raises(SchemaOutdated), database.read() as session:
            session.execute(text("SELECT lacking FROM there"))
        database.dispose()


@pytest.mark.parametrize("statement", ["SELEC 1", "SELECT nothing_such(1)", "SELECT 1 +"])
def test_a_mistake_in_our_own_sql_is_not_passed_off_as_an_outage(any_database: Database, statement: str) -> None:
    with pytest.raises((ProgrammingError, OperationalError)), any_database.read() as session:
        session.execute(text(statement))


def test_text_that_postgresql_does_not_take_is_the_askers_mistake(postgres_url: str) -> None:
    database = Database(postgres_url)
    with pytest.raises(BadRequest, match="NUL"), database.read() as session:
        session.execute(text("SELECT :given"), {"given": "a\0b"})
    database.dispose()


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    database = Database("postgresql://nobody:s3cret@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable, match="does not answer") as caught, database.read() as session:
        jobs.listing(session)
    assert "s3cret" not in caught.value.sentence


def test_a_server_that_breaks_off(any_database: Database) -> None:
    if any_database.is_sqlite:
        pytest.skip("SQLite has no server")
    with pytest.raises(DatabaseUnavailable), any_database.read() as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with any_database.read() as session:
        assert jobs.listing(session) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'none' / 'a.sqlite'}")
    with pytest.raises(DatabaseUnavailable, match="unable to open"), database.read() as session:
        jobs.listing(session)


def test_a_damaged_file_is_told_from_a_server_that_is_away(database: Database) -> None:
    database.dispose()
    file = Path(str(database.engine.url.database))
    file.write_bytes(file.read_bytes()[:4096] + bytes(file.stat().st_size - 4096))
    with pytest.raises(DatabaseUnavailable, match="damaged") as caught, database.read() as session:
        jobs.listing(session)
    assert "backup" in caught.value.remedy


def test_a_writer_that_never_ends_is_told_of(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "BUSY_TIMEOUT_SECONDS", 0.05)
    impatient = Database(database.engine.url.render_as_string())
    with database.write() as session:
        jobs.create(session, JobKind.TRAIN, {})
        with pytest.raises(DatabaseUnavailable, match="busy"), impatient.write() as other:
            jobs.create(other, JobKind.TRAIN, {})
    impatient.dispose()


def test_a_full_disk(database: Database) -> None:
    def fill() -> None:
        with database.write() as session:
            session.execute(text("PRAGMA max_page_count = 1"))
            jobs.create(session, JobKind.TRAIN, {"filling": "x" * 1_000_000})

    with pytest.raises(DiskFull):
        fill()


def test_a_disk_without_room_for_the_file_beside_the_database(database: Database) -> None:
    database.dispose()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with (
            pytest.raises(DatabaseUnavailable, match="disk cannot be read or written") as caught,
            database.read() as session,
        ):
            session.execute(text("SELECT 1 FROM jobs"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "room" in caught.value.remedy


def test_no_error_quotes_what_was_to_be_written(any_database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, any_database.write() as session:
        session.add(Instance(group_id=77, file_name="DOE^JANE.dcm", sha256="0" * 64))
    assert "INSERT INTO instances" in str(caught.value)
    assert "DOE" not in str(caught.value)


def test_what_is_deleted_is_overwritten_in_the_file(database: Database, settings: Settings) -> None:
    marker = "a-patients-feature-" * 40
    with database.write() as session:
        job = jobs.create(session, JobKind.TRAIN, {"kept": marker})
        assert session.scalar(text("PRAGMA secure_delete")) == 1, "by itself only where SQLite was built so"
    with database.write() as session:
        session.delete(jobs.get(session, job.id))
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    files = [each for each in settings.data.iterdir() if each.name.startswith("cbmir.sqlite")]
    assert files
    assert all(marker.encode() not in each.read_bytes() for each in files)
