"""`cbmir db upgrade` and `cbmir db check`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from cbmir.cli.context import Context
from cbmir.encoders import shipped
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir_migrations.commands import db


@pytest.fixture
def installation(tmp_path: Path) -> Context:
    return Context(Settings(data=tmp_path / "data"))


def call(installation: Context, *arguments: str) -> Result:
    return CliRunner().invoke(db, arguments, obj=installation, catch_exceptions=False)


def test_check_before_and_after_upgrade(installation: Context) -> None:
    before = call(installation, "check")
    assert before.exit_code == 1
    assert "Run `cbmir db upgrade`" in before.stderr
    assert before.stdout == ""
    assert call(installation, "upgrade").exit_code == 0
    after = call(installation, "check")
    assert after.exit_code == 0
    assert after.stdout == "The database is up to date.\n"


def test_json(installation: Context) -> None:
    before = call(installation, "check", "--json")
    assert (before.exit_code, json.loads(before.stdout)["schema"]) == (1, "missing")
    upgraded = call(installation, "upgrade", "--json")
    assert (upgraded.exit_code, json.loads(upgraded.stdout)["schema"]) == (0, "current")


@pytest.mark.parametrize(
    ("statement", "word"),
    [("UPDATE alembic_version SET version_num = '9999'", "newer"), ("DELETE FROM alembic_version", "no tables")],
)
def test_check_names_what_is_wrong(installation: Context, statement: str, word: str) -> None:
    call(installation, "upgrade")
    engine = create_engine(installation.settings.resolved_database_url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    found = call(installation, "check")
    assert found.exit_code == 1
    assert word in found.stderr


def test_an_upgraded_database_has_an_encoder(any_database: Database, tmp_path: Path) -> None:
    url = any_database.engine.url.render_as_string(hide_password=False)
    installation = Context(Settings(data=tmp_path / "data", database_url=url))
    for _ in range(2):  # once is enough, and twice is no more
        assert call(installation, "upgrade").exit_code == 0
    with any_database.read() as session:
        assert [row.id for row in encoders.listing(session)] == [shipped.description()["id"]]
