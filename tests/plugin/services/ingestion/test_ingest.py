"""Every file has one outcome, and whatever happens to it, the rest goes on."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import func, select

from cbmir.errors import BadManifest, BadRequest, CbmirError, JobCancelled
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.ingestion.ingest import ingest, ingest_uploads
from cbmir.services.ingestion.run import AT_ONCE, Ingested
from cbmir.settings import Settings
from cbmir.store import instances, quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance, Label, Quarantined

Make = Callable[..., bytes]


def quarantined(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row.file_name: row.code for row in quarantine.listing(session)}


def labels_of(database: Database, file_name: str) -> dict[str, str]:
    with database.read() as session:
        rows = session.execute(
            select(Label.name, Label.value).join(Instance).where(Instance.file_name == file_name)
        )
        return {name: value for name, value in rows}  # noqa: C416 - rows are no pairs to the type checker


def groups(database: Database) -> dict[str, str]:
    with database.read() as session:
        return dict(session.execute(select(Instance.file_name, Group.key).join(Group)).all())


def test_images_and_dicom_are_ingested_once(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make, make_dicom: Make
) -> None:
    (inbox / "1.png").write_bytes(make_png(1))
    (inbox / "2.bmp").write_bytes(make_png(2, file_format="BMP"))
    (inbox / "no-extension").write_bytes(make_dicom(3))
    first = ingest(any_database, settings, [inbox], None, Silence())
    again = ingest(any_database, settings, [inbox], None, Silence())
    assert (first, again) == (Ingested(ingested=3), Ingested(duplicates=3))
    with any_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Frame)) == 3
        stored = session.scalars(select(Instance).where(Instance.modality == "MR")).one()
    assert (stored.file_name, stored.body_part) == ("no-extension", "HEAD")
    assert labels_of(any_database, "no-extension") == {"modality": "mri"}


def test_pictures_that_were_lost_come_back_when_their_files_are_ingested_again(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make, make_dicom: Make
) -> None:
    (inbox / "1.png").write_bytes(make_png(1))
    (inbox / "2").write_bytes(make_dicom(2))
    ingest(any_database, settings, [inbox], None, Silence())
    with any_database.read() as session:
        before = {frame.id: frame.picture for frame in session.scalars(select(Frame))}
    shutil.rmtree(settings.pictures)
    assert ingest(any_database, settings, [inbox], None, Silence()) == Ingested(duplicates=2)
    with any_database.read() as session:
        assert {frame.id: frame.picture for frame in session.scalars(select(Frame))} == before
    assert all(map(Shelf(settings.pictures).has, before.values()))


class Told:
    """Progress that keeps the last that it was told."""

    last = (0, 0)

    def update(self, done: int, total: int, message: str = "", detail: object = None) -> None:
        self.last = done, total


def test_an_installation_within_the_folder_is_passed_over(
    any_database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    within, told = replace(settings, data=inbox / "index"), Told()
    for name in ("1.png", "deep/2.png", "zoo/3.png"):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_bytes(make_png(len(name)))
    for outcome in (Ingested(ingested=3), Ingested(duplicates=3)):
        assert ingest(any_database, within, [inbox], None, told) == outcome
        assert told.last == (3, 3)
    assert any(within.pictures.rglob("*.tif"))


def test_the_same_bytes_twice_in_one_batch_are_one_image(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    for name in ("a.png", "b.png"):
        (inbox / name).write_bytes(make_png(1))
    assert ingest(database, settings, [inbox], None, Silence()) == Ingested(ingested=1, duplicates=1)


def test_one_uid_with_other_pixels_is_set_aside_and_with_the_same_is_known(
    database: Database, settings: Settings, inbox: Path, make_dicom: Make
) -> None:
    uid = "1.2.3.4"
    (inbox / "1-first").write_bytes(make_dicom(1, SOPInstanceUID=uid))
    (inbox / "2-resent").write_bytes(make_dicom(1, SOPInstanceUID=uid, InstitutionName="elsewhere"))
    (inbox / "3-other").write_bytes(make_dicom(2, SOPInstanceUID=uid))
    counts = ingest(database, settings, [inbox], None, Silence())
    assert counts == Ingested(ingested=1, duplicates=1, quarantined=1)
    assert quarantined(database) == {"3-other": "conflicting-instance"}


def test_what_cannot_be_used_is_set_aside_with_its_reason_and_the_rest_goes_on(
    database: Database, settings: Settings, inbox: Path, make_png: Make, make_dicom: Make
) -> None:
    (inbox / "1-text.dcm").write_text("not a picture at all, whatever its name says " * 10)
    (inbox / "2-cut.png").write_bytes(make_png(1, side=200)[:2000])
    (inbox / "3-good.png").write_bytes(make_png(2))
    (inbox / "4-nopixels").write_bytes(make_dicom(4, PixelData=None, Rows=None, Columns=None))
    (inbox / "5-cut").write_bytes(make_dicom(5)[:-600])
    said: list[CbmirError] = []
    counts = ingest(database, settings, [inbox], None, Silence(), lambda _origin, error: said.append(error))
    assert counts == Ingested(ingested=1, quarantined=4)
    codes = quarantined(database)
    assert codes["1-text.dcm"] == "not-a-picture"
    assert codes["2-cut.png"] == codes["5-cut"] == "broken-file"
    assert codes["4-nopixels"] == "no-pixels"
    assert all(any(name in error.reason for error in said) for name in codes)


def test_a_mended_file_leaves_the_quarantine(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "a.png").write_bytes(make_png(1)[:80])
    ingest(database, settings, [inbox], None, Silence())
    assert quarantined(database) == {"a.png": "broken-file"}
    (inbox / "a.png").write_bytes(make_png(1))
    ingest(database, settings, [inbox], None, Silence())
    assert quarantined(database) == {}


def test_a_manifest_labels_groups_and_names(
    database: Database, settings: Settings, inbox: Path, make_png: Make, make_dicom: Make
) -> None:
    (inbox / "doe-jane").mkdir()
    (inbox / "a.png").write_bytes(make_png(1))
    (inbox / "doe-jane" / "b").write_bytes(make_dicom(2))
    manifest = inbox / "manifest.csv"
    manifest.write_text("path,modality,subclass,group,other\na.png,mri,glioma,p1,x\ngone.png,mri,glioma,p2,x\n")
    said: list[CbmirError] = []
    counts = ingest(
        database, settings, [inbox], str(manifest), Silence(), lambda _origin, error: said.append(error)
    )
    assert counts == Ingested(ingested=2, failed=1)
    assert [error.reason for error in said] == ["gone.png stands in manifest.csv but is not there."]
    assert labels_of(database, "a.png") == {"modality": "mri", "subclass": "glioma"}
    assert groups(database)["a.png"] == "p1"
    assert set(groups(database)) == {"a.png", "b"}, "a folder's name may be a patient's: it is not kept for DICOM"


def test_a_later_manifest_changes_labels_and_group(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "a.png").write_bytes(make_png(1))
    ingest(database, settings, [inbox], None, Silence())
    manifest = inbox / "manifest.csv"
    for subclass in ("glioma", "meningioma"):
        manifest.write_text(f"path,modality,subclass,group\na.png,mri,{subclass},p1\n")
        assert ingest(database, settings, [inbox], str(manifest), Silence()) == Ingested(duplicates=1)
        assert labels_of(database, "a.png") == {"modality": "mri", "subclass": subclass}
    assert groups(database) == {"a.png": "p1"}


def test_two_labels_for_one_image_are_set_aside(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    for name, seed in (("a.png", 1), ("b.png", 2), ("c.png", 2)):
        (inbox / name).write_bytes(make_png(seed))
    manifest = inbox / "manifest.csv"
    manifest.write_text("path,subclass\na.png,one\na.png,two\nb.png,one\nc.png,two\n")
    counts = ingest(database, settings, [inbox], str(manifest), Silence())
    assert counts == Ingested(ingested=1, quarantined=2)
    assert quarantined(database) == {"a.png": "conflicting-labels", "c.png": "conflicting-labels"}
    assert labels_of(database, "b.png") == {"subclass": "one"}


def test_a_bad_manifest_ingests_nothing(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "a.png").write_bytes(make_png(1))
    (inbox / "m.csv").write_text("file;label\n")
    with pytest.raises(BadManifest):
        ingest(database, settings, [inbox], str(inbox / "m.csv"), Silence())


def test_folders_give_labels(database: Database, settings: Settings, inbox: Path, make_png: Make) -> None:
    (inbox / "mri" / "glioma").mkdir(parents=True)
    (inbox / "mri" / "glioma" / "a.png").write_bytes(make_png(1))
    ingest(database, settings, [inbox], "folder", Silence())
    assert labels_of(database, "mri/glioma/a.png") == {"modality": "mri", "subclass": "glioma"}


def test_a_zip_gives_its_members_and_a_bomb_is_set_aside(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    with zipfile.ZipFile(inbox / "some.zip", "w") as archive:
        archive.writestr("a.png", make_png(1))
        archive.writestr("notes.txt", "nothing to see")
    with zipfile.ZipFile(inbox / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(300 * 1024 * 1024))
    assert ingest(database, settings, [inbox], None, Silence()) == Ingested(ingested=1, quarantined=2)
    assert quarantined(database) == {"notes.txt": "not-a-picture", "bomb.zip": "unsafe-archive"}


def test_patients_are_known_by_pseudonyms_of_this_installation(
    database: Database, settings: Settings, inbox: Path, make_dicom: Make
) -> None:
    (inbox / "a").write_bytes(make_dicom(1, PatientID="MRN-0815"))
    (inbox / "b").write_bytes(make_dicom(2, PatientID="MRN-0815"))
    (inbox / "c").write_bytes(make_dicom(3, PatientID="MRN-4711"))
    ingest(database, replace(settings, secret_key="k1"), [inbox], None, Silence())
    keys = groups(database)
    assert keys["a"] == keys["b"] != keys["c"]
    assert keys["a"].startswith("p-")
    assert b"MRN-0815" not in (settings.data / "cbmir.sqlite").read_bytes()
    assert b"Doe" not in (settings.data / "cbmir.sqlite").read_bytes()


def test_uploads_are_ingested_under_the_users_names_and_bad_ones_are_kept(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    (inbox / "0").write_bytes(make_png(1))
    (inbox / "1").write_text("no picture")
    counts = ingest_uploads(database, settings, inbox, {"0": "good.png", "1": "bad.png"}, Silence())
    assert counts == Ingested(ingested=1, quarantined=1)
    for file in inbox.iterdir():
        file.unlink()
    with database.read() as session:
        row = session.scalars(select(Quarantined)).one()
        assert instances.find_by_sha256(session, row.sha256) is None
    assert row.file_name == "bad.png"
    assert Path(row.origin).read_text() == "no picture"


class Impatience(Silence):
    """Cancels after the second file."""

    def update(self, done: int, total: int, message: str = "", detail: object = None) -> None:
        if done == 2:
            raise JobCancelled("Enough.")


def test_a_cancelled_ingestion_keeps_what_it_has_and_goes_on_later(
    database: Database, settings: Settings, inbox: Path, make_png: Make
) -> None:
    for seed in range(AT_ONCE + 4):
        (inbox / f"{seed}.png").write_bytes(make_png(seed))
    with pytest.raises(JobCancelled):
        ingest(database, settings, [inbox], None, Impatience())
    again = ingest(database, settings, [inbox], None, Silence())
    assert again == Ingested(ingested=AT_ONCE + 4 - again.duplicates, duplicates=again.duplicates)
    assert 2 <= again.duplicates <= AT_ONCE


@pytest.mark.shared
def test_labels_of_the_real_images_are_taken_from_their_manifest(
    database: Database, settings: Settings, shared: Path
) -> None:
    manifest = shared / "images" / "manifest.csv"
    counts = ingest(database, settings, [shared / "images" / "oct" / "CNV"], str(manifest), Silence())
    assert (counts.ingested, counts.failed, counts.quarantined) == (6, 0, 0)


def test_objects_without_a_uid_are_known_by_their_content(
    database: Database, settings: Settings, tmp_path: Path, make_dicom: Make
) -> None:
    for seed in (1, 2):
        (tmp_path / f"{seed}.dcm").write_bytes(without_uid(make_dicom(seed)))
    (tmp_path / "again.dcm").write_bytes(without_uid(make_dicom(1)))
    paths = [tmp_path / name for name in ("1.dcm", "2.dcm", "again.dcm")]
    counts = ingest(database, settings, paths, None, Silence())
    assert (counts.ingested, counts.duplicates, counts.quarantined) == (2, 1, 0)
    with database.read() as session:
        assert session.scalars(select(Instance.sop_instance_uid)).all() == [None, None]


def without_uid(data: bytes) -> bytes:
    """The object with letters where both of its SOP Instance UIDs have digits."""
    uid = dcmread(BytesIO(data)).SOPInstanceUID.encode()
    return data.replace(uid, b"x" * len(uid))


@pytest.mark.parametrize(
    "wrong", [{"window": "wide"}, {"frames": "every:0"}, {"crop": "skin"}, {"waveform": "lines"}]
)
def test_a_wrong_setting_is_blamed_and_not_the_files(
    database: Database, settings: Settings, inbox: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(BadRequest, match=next(iter(wrong.values()))):
        ingest(database, replace(settings, **wrong), [inbox], None, Silence())
    with database.read() as session:
        assert quarantine.count(session) == 0
