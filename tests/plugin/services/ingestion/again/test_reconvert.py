"""Pictures of an earlier conversion are made again: when their files are ingested again, or all at once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from cbmir.cli.context import Context
from cbmir.cli.reconvert import reconvert_command
from cbmir.errors import CbmirError, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.conversion.convert import is_outdated
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.again.reconvert import Reconverted, reconvert
from cbmir.services.ingestion.ingest import ingest, ingest_uploads
from cbmir.services.ingestion.renewal import renew
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances, quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Instance

Make = Callable[..., bytes]


def age(database: Database, settings: Settings) -> str:
    """Make all pictures look as if another conversion had made another picture; the key of that."""
    key = Shelf(settings.pictures).put(np.full((9, 9), 7, np.uint8))
    with database.write() as session:
        for frame in session.scalars(select(Frame)):
            frame.pipeline, frame.picture = f"{frame.pipeline.partition('/')[0]}/0", key
    return key


def pipelines(database: Database, settings: Settings) -> list[bool]:
    """Whether each stored frame is outdated."""
    with database.read() as session:
        return [is_outdated(each, settings) for each in session.scalars(select(Frame.pipeline).order_by(Frame.id))]


def extracted(database: Database, encoder_id: str) -> None:
    with database.write() as session:
        ids = list(session.scalars(select(Frame.id)))
        features.add_batch(session, encoders.get(session, encoder_id), ids, np.ones((len(ids), 48), np.float32))


def test_a_known_file_with_an_outdated_picture_is_ingested_again(
    any_database: Database,
    settings: Settings,
    inbox: Path,
    make_dicom: Make,
    make_png: Make,
    add_network: Callable[..., str],
) -> None:
    (inbox / "1").write_bytes(make_dicom(1))
    (inbox / "2.png").write_bytes(make_png(2))
    assert ingest(any_database, settings, [inbox], None, Silence()) == Ingested(ingested=2)
    with any_database.read() as session:
        before = {row.id: (row.file_name, row.frames[0].picture) for row in session.scalars(select(Instance))}
    old = age(any_database, settings)
    encoder_id = add_network(any_database)
    extracted(any_database, encoder_id)
    assert ingest(any_database, settings, [inbox], None, Silence()) == Ingested(ingested=2)
    assert pipelines(any_database, settings) == [False, False]
    with any_database.read() as session:
        after = {row.id: (row.file_name, row.frames[0].picture) for row in session.scalars(select(Instance))}
        assert features.count(session, encoder_id) == 0
        assert encoders.get(session, encoder_id).generation == 3, "once for the features, once for each renewal"
    assert after == before
    assert not Shelf(settings.pictures).has(old)
    assert ingest(any_database, settings, [inbox], None, Silence()) == Ingested(duplicates=2)


def test_a_picture_of_a_conversion_that_nobody_knows_here_stays(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "1.png").write_bytes(make_png(1))
    ingest(database, settings, [inbox], None, Silence())
    with database.write() as session:
        session.execute(update(Frame).values(pipeline="elsewhere/9"))
    assert ingest(database, settings, [inbox], None, Silence()) == Ingested(duplicates=1)
    assert reconvert(database, settings, Silence()) == Reconverted()


def test_another_conversions_picture_is_no_conflict(
    any_database: Database, settings: Settings, inbox: Path, tmp_path: Path, make_dicom: Make
) -> None:
    (inbox / "first").write_bytes(make_dicom(1, SOPInstanceUID="1.2.3"))
    ingest(any_database, settings, [inbox], None, Silence())
    age(any_database, settings)
    resent, other = tmp_path / "resent", tmp_path / "other"
    resent.write_bytes(make_dicom(1, SOPInstanceUID="1.2.3", InstitutionName="elsewhere"))
    other.write_bytes(make_dicom(2, SOPInstanceUID="1.2.3"))
    assert ingest(any_database, settings, [resent], None, Silence()) == Ingested(duplicates=1)
    assert pipelines(any_database, settings) == [False], "it was made again from its own file, to be compared"
    age(any_database, settings)
    assert ingest(any_database, settings, [other], None, Silence()) == Ingested(quarantined=1)
    with any_database.read() as session:
        assert [row.code for row in quarantine.listing(session)] == ["conflicting-instance"]


def test_where_the_first_file_is_gone_the_uid_is_believed(
    database: Database, settings: Settings, inbox: Path, make_dicom: Make
) -> None:
    (inbox / "first").write_bytes(make_dicom(1, SOPInstanceUID="1.2.3"))
    ingest(database, settings, [inbox], None, Silence())
    age(database, settings)
    (inbox / "first").write_bytes(make_dicom(1, SOPInstanceUID="1.2.3", InstitutionName="elsewhere"))
    assert ingest(database, settings, [inbox], None, Silence()) == Ingested(duplicates=1)
    assert pipelines(database, settings) == [True]


def test_all_are_made_again_from_where_they_came(
    any_database: Database, settings: Settings, inbox: Path, tmp_path: Path, make_dicom: Make, make_png: Make
) -> None:
    for number in range(1, 5):
        (inbox / f"{number}").write_bytes(make_dicom(number))
    with zipfile.ZipFile(inbox / "odd!name.zip", "w") as archive:
        archive.writestr("folder/a!b.png", make_png(7))
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "0").write_bytes(make_png(8))
    ingest(any_database, settings, [inbox], None, Silence())
    ingest_uploads(any_database, settings, uploads, {"0": "sent.png"}, Silence())
    age(any_database, settings)
    (uploads / "0").unlink()
    (inbox / "2").unlink()
    (inbox / "3").write_bytes(make_dicom(33))
    said: dict[str, CbmirError] = {}
    counts = reconvert(any_database, settings, Silence(), said.__setitem__)
    assert counts == Reconverted(renewed=3, gone=3)
    assert set(said) == {"2", "3", "sent.png"}
    assert "another file" in said["3"].reason
    assert all(error.remedy for error in said.values())
    assert sorted(pipelines(any_database, settings)) == [False] * 3 + [True] * 3
    assert reconvert(any_database, settings, Silence()) == Reconverted(gone=3)


def test_two_at_once_do_no_harm(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make, add_network: Callable[..., str]
) -> None:
    for number in range(8):
        (inbox / f"{number}.png").write_bytes(make_png(number))
    ingest(any_database, settings, [inbox], None, Silence())
    age(any_database, settings)
    encoder_id = add_network(any_database)
    with ThreadPoolExecutor(3) as pool:
        both = [pool.submit(reconvert, any_database, settings, Silence()) for _ in range(2)]
        while not all(each.done() for each in both):
            extracted(any_database, encoder_id)
        counts = [each.result() for each in both]
    assert all(each.failed == each.gone == 0 for each in counts)
    assert pipelines(any_database, settings) == [False] * 8
    extracted(any_database, encoder_id)
    with any_database.read() as session:
        assert features.count(session, encoder_id) == 8
        assert set(features.pipelines(session, encoder_id)) == set(session.scalars(select(Frame.pipeline)))


def test_what_was_deleted_meanwhile_does_not_come_back(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "1.png").write_bytes(make_png(1))
    ingest(database, settings, [inbox], None, Silence())
    age(database, settings)
    with database.write() as session:
        gone = session.scalars(select(Instance)).one()
        instances.delete(session, gone)
    with Isolation(1) as isolation, pytest.raises(NotFound, match="removed"):
        renew(database, settings, gone, isolation)
    with database.read() as session:
        assert session.scalars(select(Instance)).all() == []


def test_one_that_cannot_be_read_any_more_keeps_its_picture_and_the_rest_goes_on(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    for name in ("1.png", "2.png"):
        (inbox / name).write_bytes(make_png(int(name[0])))
    ingest(database, settings, [inbox], None, Silence())
    old = age(database, settings)
    strict = Settings(data=settings.data, max_pixels=10)
    assert reconvert(database, strict, Silence()) == Reconverted(failed=2)
    with database.read() as session:
        assert set(session.scalars(select(Frame.picture))) == {old}
    assert Shelf(settings.pictures).get(old).shape == (9, 9)


def test_the_command_counts_and_complains(settings: Settings, inbox: Path, make_png: Make) -> None:
    context = Context(settings)
    for number in (1, 2):
        (inbox / f"{number}.png").write_bytes(make_png(number))
    ingest(context.database, settings, [inbox], None, Silence())
    age(context.database, settings)
    (inbox / "1.png").unlink()
    result = CliRunner().invoke(reconvert_command, ["--json"], obj=context, catch_exceptions=False)
    report = json.loads(result.stdout)
    assert {key: report[key] for key in ("renewed", "gone", "failed")} == {"renewed": 1, "gone": 1, "failed": 0}
    assert [(each["file_name"], each["code"]) for each in report["reasons"]] == [("1.png", "not-found")]
    assert "no longer where it was" in result.stderr
    again = CliRunner().invoke(reconvert_command, [], obj=context, catch_exceptions=False)
    assert again.stdout == "0 renewed, 0 to be fetched again, 1 no longer where they were, 0 failed.\n"
    context.database.dispose()
