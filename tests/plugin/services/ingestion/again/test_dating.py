"""Study dates of objects that were ingested before any was kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path

import pydicom
from click.testing import CliRunner
from sqlalchemy import select, update

from cbmir.cli.context import Context
from cbmir.cli.reconvert import reconvert_command
from cbmir.errors import CbmirError
from cbmir.progress import Silence
from cbmir.services.ingestion.again.dating import Dated, date_again
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.ingestion.origin import origin_of
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Instance

Make = Callable[..., bytes]


def forget(database: Database) -> None:
    """Make all look as if they had been ingested before dates, and what made a picture, were kept."""
    with database.write() as session:
        session.execute(update(Instance).values(study_date=None, manufacturer=None, model_name=None))


def dates(database: Database) -> dict[str, date | None]:
    with database.read() as session:
        return {row.file_name: row.study_date for row in session.scalars(select(Instance))}


def equipment(database: Database) -> dict[str, tuple[str | None, str | None]]:
    with database.read() as session:
        return {row.file_name: (row.manufacturer, row.model_name) for row in session.scalars(select(Instance))}


def filled(database: Database, settings: Settings, folder: Path, make_dicom: Make, make_png: Make) -> None:
    folder.mkdir()
    for number, name in enumerate(["kept", "changed", "gone", "archived", "dateless"]):
        told = {} if name == "dateless" else {"StudyDate": f"2024013{number % 2}"}
        if name in ("kept", "gone", "dateless"):
            told |= {"Manufacturer": "Siemens", "ManufacturerModelName": f"Vida {number}", "StationName": "ward-3"}
        (folder / name).write_bytes(make_dicom(number, **told))
    (folder / "plain.png").write_bytes(make_png(9))
    ingest(database, settings, [folder], None, Silence())


def test_dates_are_read_again_and_nothing_else_changes(
    any_database: Database, settings: Settings, tmp_path: Path, make_dicom: Make, make_png: Make
) -> None:
    folder = tmp_path / "in"
    filled(any_database, settings, folder, make_dicom, make_png)
    assert dates(any_database)["kept"] == date(2024, 1, 30)
    forget(any_database)
    (folder / "changed").write_bytes(make_dicom(77))
    (folder / "gone").unlink()
    with any_database.write() as session:
        mine = update(Instance).where(Instance.file_name == "archived")
        session.execute(mine.values(origin=origin_of("pacs", "1.2")))
        frames = list(session.scalars(select(Frame.id)))
    said: dict[str, CbmirError] = {}
    assert date_again(any_database, settings, Silence(), said.__setitem__) == Dated(
        dated=1, dateless=1, archived=1, gone=2
    )
    assert set(said) == {"changed", "gone"}
    found = {name: day for name, day in dates(any_database).items() if day}
    assert found == {"kept": date(2024, 1, 30)}
    with any_database.read() as session:
        assert list(session.scalars(select(Frame.id))) == frames
    assert date_again(any_database, settings, Silence()) == Dated(dateless=1, archived=1, gone=2)


def test_who_is_ingested_again_gets_its_date(
    any_database: Database, settings: Settings, tmp_path: Path, make_dicom: Make, make_png: Make
) -> None:
    folder = tmp_path / "in"
    filled(any_database, settings, folder, make_dicom, make_png)
    told, made_by = dates(any_database), equipment(any_database)
    assert made_by["gone"] == ("SIEMENS", "VIDA 2")
    forget(any_database)
    uid = pydicom.dcmread(folder / "kept").SOPInstanceUID
    (folder / "kept").write_bytes(
        make_dicom(0, SOPInstanceUID=uid, StudyDate="20240130", PatientComments="other bytes", Manufacturer="other")
    )
    with any_database.write() as session:
        known = update(Instance).where(Instance.file_name == "changed")
        session.execute(known.values(study_date=date(2020, 2, 2)))
    report = ingest(any_database, settings, [folder], None, Silence())
    assert (report.ingested, report.duplicates) == (0, 6)
    assert dates(any_database) == told | {"changed": date(2020, 2, 2)}, "what is known stays"
    assert equipment(any_database) == made_by | {"kept": ("OTHER", None)}


def test_one_that_cannot_be_read_any_more_does_not_end_it(
    database: Database, settings: Settings, tmp_path: Path, make_dicom: Make, make_png: Make
) -> None:
    filled(database, settings, tmp_path / "in", make_dicom, make_png)
    forget(database)
    damaged = bytes(128) + b"DICM" + b"\xff" * 100
    (tmp_path / "in" / "kept").write_bytes(damaged)
    with database.write() as session:
        mine = update(Instance).where(Instance.file_name == "kept")
        session.execute(mine.values(sha256=sha256(damaged).hexdigest()))
    strict = Settings(data=settings.data, max_pixels=10)  # which a date has nothing to do with
    assert date_again(database, strict, Silence()) == Dated(dated=3, dateless=1, failed=1)


def test_the_command_reads_dates_when_asked(
    settings: Settings, tmp_path: Path, make_dicom: Make, make_png: Make
) -> None:
    context = Context(settings)
    filled(context.database, settings, tmp_path / "in", make_dicom, make_png)
    forget(context.database)
    without = CliRunner().invoke(reconvert_command, ["--json"], obj=context, catch_exceptions=False)
    assert "dates" not in json.loads(without.stdout)
    assert set(dates(context.database).values()) == {None}
    result = CliRunner().invoke(reconvert_command, ["--dates"], obj=context, catch_exceptions=False)
    assert "Study dates: 4 read, 1 not in the header, 0 no longer where they were, 0 failed." in result.stdout
    context.database.dispose()
