"""What was set aside is read again: it leaves, or stays with today's reason; what is gone is said to be."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cbmir.cli.context import Context
from cbmir.cli.quarantine import quarantine_command
from cbmir.errors import CbmirError
from cbmir.progress import Silence
from cbmir.services.ingestion.again import quarantine as service
from cbmir.services.ingestion.again.quarantine import Retried, retry
from cbmir.services.ingestion.ingest import ingest, ingest_uploads
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store import quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Instance, Quarantined

Make = Callable[..., bytes]


def rows(database: Database) -> dict[str, Quarantined]:
    with database.read() as session:
        return {row.file_name: row for row in quarantine.listing(session, limit=None)}


def names(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Instance.file_name)))


def test_each_file_leaves_or_stays_with_its_new_reason(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    for name in ("mended.png", "other.png", "gone.png", "still.png"):
        (inbox / name).write_bytes(make_png(1)[:90])
    ingest(any_database, settings, [inbox], None, Silence())
    with zipfile.ZipFile(inbox / "some.zip", "w") as archive:
        archive.writestr("a.png", make_png(2)[:90])
    ingest(any_database, settings, [inbox / "some.zip"], None, Silence())
    before = rows(any_database)
    (inbox / "mended.png").write_bytes(make_png(3))
    (inbox / "other.png").write_text("no picture any more, whatever it was")
    (inbox / "gone.png").unlink()
    with zipfile.ZipFile(inbox / "some.zip", "w") as archive:
        archive.writestr("a.png", make_png(4))
    said: dict[str, CbmirError] = {}
    retried = retry(any_database, settings, Silence(), report=said.__setitem__)
    assert retried == Retried(Ingested(ingested=2, quarantined=2), gone=1)
    assert names(any_database) == {"mended.png", "a.png"}
    left = rows(any_database)
    assert {name: row.code for name, row in left.items()} == {
        "other.png": "not-a-picture",
        "still.png": "broken-file",
        "gone.png": "broken-file",
    }
    assert len(left) == 3, "the old reason of the changed file is forgotten"
    assert left["still.png"].id == before["still.png"].id
    assert "no longer where it was" in said[str(inbox / "gone.png")].reason


def test_some_are_retried_by_id_or_by_reason_and_twice_is_no_harm(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    for name in ("1.png", "2.png"):
        (inbox / name).write_bytes(make_png(int(name[0]))[:90])
    (inbox / "3.txt").write_text("no picture, and not meant to be")
    ingest(any_database, settings, [inbox], None, Silence())
    for name in ("1.png", "2.png"):
        (inbox / name).write_bytes(make_png(int(name[0])))
    first = rows(any_database)["1.png"].id
    for counts in (Ingested(ingested=1), Ingested()):
        assert retry(any_database, settings, Silence(), ids=[first, 10**6]) == Retried(counts)
    assert names(any_database) == {"1.png"}
    assert retry(any_database, settings, Silence(), ids=[]) == Retried()
    assert retry(any_database, settings, Silence(), code="no-pixels") == Retried()
    assert retry(any_database, settings, Silence(), code="not-a-picture") == Retried(Ingested(quarantined=1))
    assert retry(any_database, settings, Silence(), code="broken-file") == Retried(Ingested(ingested=1))
    assert set(rows(any_database)) == {"3.txt"}


def test_many_are_retried_in_batches(
    database: Database, settings: Settings, inbox: Path, make_png: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 2)
    for number in range(5):
        (inbox / f"{number}.png").write_bytes(make_png(number)[:90])
    ingest(database, settings, [inbox], None, Silence())
    for number in range(1, 5):
        (inbox / f"{number}.png").write_bytes(make_png(number))
    assert retry(database, settings, Silence()) == Retried(Ingested(ingested=4, quarantined=1))


def test_a_zip_that_was_damaged_as_a_whole_gives_its_members(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    path = inbox / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", make_png(1))
        archive.writestr("b.png", make_png(2)[:90])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    ingest(database, settings, [path], None, Silence())
    assert set(rows(database)) == {"some.zip"}
    path.write_bytes(whole)
    assert retry(database, settings, Silence()) == Retried(Ingested(ingested=1, quarantined=1))
    assert set(rows(database)) == {"b.png"}


def test_kept_bytes_of_an_upload_are_removed_when_nothing_needs_them(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "0").write_bytes(make_png(1))
    (inbox / "1").write_text("no picture at all")
    with zipfile.ZipFile(inbox / "2", "w") as archive:
        archive.writestr("a.png", make_png(2))
        archive.writestr("b.txt", "no picture either")
    strict = Settings(data=settings.data, max_pixels=10)
    ingest_uploads(any_database, strict, inbox, {"0": "large.png", "1": "notes.txt", "2": "c.zip"}, Silence())
    assert len(list(settings.set_aside.iterdir())) == 3
    assert retry(any_database, settings, Silence()) == Retried(Ingested(ingested=2, quarantined=2))
    assert names(any_database) == {"large.png", "a.png"}
    assert {name: row.code for name, row in rows(any_database).items()} == {
        "b.txt": "not-a-picture",
        "notes.txt": "not-a-picture",
    }
    kept = {path.name for path in settings.set_aside.iterdir()}
    assert len(kept) == 2, "the zip stays for the member that is still set aside"
    assert retry(any_database, settings, Silence()) == Retried(Ingested(quarantined=2))


@pytest.mark.parametrize("name", ["{}", "a/../../{}", "//a//./b.png", "{}!a.png"])
def test_a_members_name_leads_to_no_other_file(
    database: Database, settings: Settings, inbox: Path, make_png: Make, name: str
) -> None:
    uploads, private = inbox / "uploads", inbox / "private.png"
    uploads.mkdir()
    private.write_bytes(make_png(1))
    with zipfile.ZipFile(uploads / "0", "w") as archive:
        archive.writestr(name.format("../private.png"), "no picture")
        archive.writestr("good.png", make_png(2))
    counts = ingest_uploads(database, settings, uploads, {"0": "some.zip"}, Silence())
    assert counts == Ingested(ingested=1, quarantined=1)
    assert [path.read_bytes() for path in settings.set_aside.iterdir()] == [(uploads / "0").read_bytes()]
    assert retry(database, settings, Silence()) == Retried(Ingested(quarantined=1))
    assert names(database) == {"good.png"}


def test_old_bytes_that_nothing_names_are_removed_and_young_ones_stay(
    database: Database, settings: Settings
) -> None:
    settings.set_aside.mkdir(parents=True)
    for name, age in (("1" * 64, 2 * service.STALE_SECONDS), ("2" * 64, 0)):
        (settings.set_aside / name).write_bytes(b"x")
        os.utime(settings.set_aside / name, (time.time() - age,) * 2)
    service.forget_unused(database, settings, [])
    assert [path.name for path in settings.set_aside.iterdir()] == ["2" * 64]


def call(context: Context, *arguments: str) -> Result:
    return CliRunner().invoke(quarantine_command, arguments, obj=context, catch_exceptions=False)


def test_the_command_lists_filters_and_retries(settings: Settings, inbox: Path, make_png: Make) -> None:
    context = Context(settings)
    (inbox / "1.png").write_bytes(make_png(1)[:90])
    (inbox / "2.png").write_bytes(make_png(2)[:90])
    (inbox / "3.txt").write_text("no picture, and not meant to be")
    ingest(context.database, settings, [inbox], None, Silence())
    listed = json.loads(call(context, "--json", "--code", "broken-file").stdout)
    assert {row["file_name"] for row in listed} == {"1.png", "2.png"}
    text = call(context).stdout
    assert "3 set aside." in text
    assert "2  broken-file: Damaged or cut short" in text
    (inbox / "1.png").write_bytes(make_png(1))
    (inbox / "2.png").unlink()
    ids = [str(row["id"]) for row in listed]
    retried = CliRunner().invoke(
        quarantine_command, ["--retry", "--json", *ids], obj=context, catch_exceptions=False
    )
    assert json.loads(retried.stdout) == {
        "ingested": 1, "duplicates": 0, "quarantined": 0, "failed": 0, "asked": 0, "gone": 1,
    }  # fmt: skip
    assert "no longer where it was" in retried.stderr
    assert "1 set aside again" in call(context, "--retry", "--code", "not-a-picture").stdout
    assert "1 no longer where they were." in call(context, "--retry", "--all").stdout
    context.database.dispose()


@pytest.mark.parametrize(
    "arguments", [["--retry"], ["3"], ["--all"], ["--retry", "--all", "3"], ["--code", "nonsense"]]
)
def test_a_call_that_makes_no_sense_is_refused(settings: Settings, arguments: list[str]) -> None:
    result = CliRunner().invoke(quarantine_command, arguments, obj=Context(settings))
    assert result.exit_code == 2
