"""Both databases are brought up to date, by one process or by several at once, and their state is told."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, select, text

import cbmir_migrations
from cbmir.errors import DatabaseUnavailable, SchemaOutdated
from cbmir.store.session import Database
from cbmir.store.tables import Archive, Base, Feature, Frame, Group, Instance, Label
from cbmir_migrations.schema import State, configuration


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'empty.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def on_connection(url: str, act: Callable[..., None]) -> None:
    database = Database(url)
    try:
        with database.write() as session:
            act(configuration(session.connection()))
    finally:
        database.dispose()


def test_an_empty_database_becomes_current_and_stays_so(empty_url: str) -> None:
    assert cbmir_migrations.state(empty_url) == "missing"
    cbmir_migrations.upgrade(empty_url)
    assert cbmir_migrations.state(empty_url) == "current"
    cbmir_migrations.upgrade(empty_url)
    engine = create_engine(empty_url)
    assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    engine.dispose()


def test_asking_for_the_state_makes_no_file(tmp_path: Path) -> None:
    file = tmp_path / "none.sqlite"
    assert cbmir_migrations.state(f"sqlite:///{file}") == State.MISSING
    assert not file.exists()


def test_the_tables_of_the_code_are_those_of_the_migrations(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    on_connection(empty_url, command.check)


def test_check_notices_a_column_that_no_migration_made(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    execute(empty_url, "ALTER TABLE jobs ADD COLUMN surprise INTEGER")
    with pytest.raises(Exception, match="surprise"):
        on_connection(empty_url, command.check)


def test_every_revision_can_be_taken_back(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    on_connection(empty_url, lambda config: command.downgrade(config, "base"))
    assert cbmir_migrations.state(empty_url) == State.MISSING
    cbmir_migrations.upgrade(empty_url)
    on_connection(empty_url, command.check)


OLD_ROWS = (
    "INSERT INTO groups VALUES (1, 'p-1')",
    "INSERT INTO instances (id, group_id, file_name, origin, sha256, created_at) "
    "VALUES (7, 1, 'a', '/a', 'abc', '2026-01-01 00:00:00')",
    *(
        "INSERT INTO frames (id, instance_id, frame_number, picture, rows, columns, pipeline) "
        f"VALUES ({n}, 7, {n}, 'k', 2, 2, 'dicom-2d/1')"
        for n in (1, 2)
    ),
    "INSERT INTO encoders (id, architecture, weights_file, weights_sha256, dimension, preprocessing, training, "
    "metrics, generation, created_at) VALUES ('e', 'a', '', '0', 1, '{}', '{}', '{}', 0, '2026-01-01 00:00:00')",
    "INSERT INTO features (id, encoder_id, frame_id, vector) VALUES (5, 'e', 2, 'abcd')",
)


def test_old_rows_learn_how_they_were_made_and_new_ids_stay_new(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    on_connection(empty_url, lambda config: command.downgrade(config, "0001"))
    assert cbmir_migrations.state(empty_url) == State.BEHIND
    for statement in OLD_ROWS:
        execute(empty_url, statement)
    cbmir_migrations.upgrade(empty_url)
    database = Database(empty_url)
    with database.read() as session:
        assert session.scalars(select(Feature.pipeline)).all() == ["dicom-2d/1"]
        assert session.scalars(select(Frame.steps)).all() == [[], []]
        instance = session.scalars(select(Instance)).one()
        assert (instance.frame_count, instance.photometric, instance.ultrasound_regions) == (2, None, None)
    if database.is_sqlite:
        with database.read() as session:
            made = session.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'frames'"))
            assert "AUTOINCREMENT" in made, "an id must never be used again"
    database.dispose()


UNTIDY = {"finding": "b |\na|b", "free": "brain\r\nglioma", "blank": " ", "plain": "a|b"}
TIDY = {"finding": "b|a", "free": "brain glioma", "blank": " ", "plain": "a|b"}


def test_old_labels_are_tidied(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    on_connection(empty_url, lambda config: command.downgrade(config, "0012"))
    database = Database(empty_url)
    with database.write() as session:
        group = Group(key="p-1")
        instance = Instance(group=group, file_name="a", origin="/a", sha256="abc")
        instance.labels = [Label(name=name, value=value, origin="import") for name, value in UNTIDY.items()]
        session.add(instance)
    cbmir_migrations.upgrade(empty_url)
    with database.read() as session:
        assert {label.name: label.value for label in session.scalars(select(Label))} == TIDY
    database.dispose()


def test_a_database_of_a_newer_version_is_left_alone(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    execute(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    assert cbmir_migrations.state(empty_url) == State.AHEAD
    with pytest.raises(SchemaOutdated, match="newer"):
        cbmir_migrations.upgrade(empty_url)


def test_a_failed_upgrade_leaves_nothing_behind(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    execute(empty_url, "CREATE TABLE queries (in_the_way INTEGER)")
    with pytest.raises(Exception, match="exists"):
        cbmir_migrations.upgrade(empty_url)
    engine = create_engine(empty_url)
    assert inspect(engine).get_table_names() == ["queries"]
    engine.dispose()


def test_processes_that_upgrade_at_once_do_no_harm(empty_url: str) -> None:
    program = "import sys, cbmir_migrations; cbmir_migrations.upgrade(sys.argv[1])"
    running = [
        subprocess.Popen([sys.executable, "-c", program, empty_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], said
    on_connection(empty_url, command.check)


def test_logging_stays_as_the_program_set_it(empty_url: str) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers), logging.getLogger("alembic").level
    cbmir_migrations.upgrade(empty_url)
    assert (root.level, list(root.handlers), logging.getLogger("alembic").level) == before


def test_a_database_that_does_not_answer() -> None:
    with pytest.raises(DatabaseUnavailable):
        cbmir_migrations.upgrade("postgresql+psycopg://nobody@127.0.0.1:1/none")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "letter.sqlite"
    file.write_text("Dear colleague, " * 100)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        cbmir_migrations.upgrade(f"sqlite:///{file}")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match="cannot be made"):
        cbmir_migrations.upgrade(f"sqlite:///{tmp_path / 'file' / 'data' / 'a.sqlite'}")


def test_with_study_dates_every_archive_is_compared_as_a_whole(empty_url: str) -> None:
    cbmir_migrations.upgrade(empty_url)
    on_connection(empty_url, lambda config: command.downgrade(config, "0006"))
    execute(
        empty_url,
        "INSERT INTO archives (name, kind, address, options, sealed_credentials, paused, cursor, "
        "allowed_deletions, sweep_wanted, follower, created_at) VALUES ('pacs', 'orthanc', '', '{}', '', false, "
        "'7', 0, false, '', '2026-01-01 00:00:00')",
    )
    cbmir_migrations.upgrade(empty_url)
    database = Database(empty_url)
    with database.read() as session:
        assert session.scalars(select(Archive.sweep_wanted)).all() == [True]
    database.dispose()
