"""An archive's word counts: objects that are re-sent, corrected, merged into another patient, moved."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select

from cbmir.archive.connection import ArchiveKind
from cbmir.progress import Silence
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.verify import verify
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.identity import pseudonym
from cbmir.store import ledger
from cbmir.store.session import Database
from cbmir.store.tables import Feature, Frame, Group, Instance


def only(database: Database) -> tuple[Instance, str, list[Frame]]:
    """The only instance, its group's key and its frames."""
    with database.read() as session:
        instance = session.scalars(select(Instance)).one()
        return instance, instance.group.key, list(instance.frames)


def features(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Feature.frame_id)))


@pytest.fixture
def held(database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any, add_network: Any) -> None:
    """An object that is held, with its feature."""
    pacs.send(make_object(0))
    follow()
    add_network(database)
    extract(database, archive.settings, None, Silence())


def again(archive: Followed, follow: Any) -> None:
    """Without a digest a DICOMweb archive cannot tell that bytes changed: there all is asked for again."""
    if archive.connection.kind is ArchiveKind.DICOMWEB:
        with archive.database.write() as session:
            ledger.fetch_again(session, archive.id)
    assert follow().ingested == 1


@pytest.mark.usefixtures("held")
def test_other_pixels_under_the_same_uid_replace_the_picture_and_its_feature(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    before, _, (shown,) = only(database)
    pacs.send(make_object(5, SOPInstanceUID=uid_of(0)))
    again(archive, follow)
    after, _, (shows,) = only(database)
    assert after.id == before.id
    assert after.sha256 != before.sha256
    assert shows.picture != shown.picture
    assert features(database) == []
    assert len(list(archive.settings.pictures.rglob("*.tif"))) == 1
    assert verify(archive, Silence()).differences == []


@pytest.mark.usefixtures("held")
def test_another_header_with_the_same_pixels_keeps_picture_and_feature(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    before, _, (shown,) = only(database)
    pacs.send(make_object(0, BodyPartExamined="KNEE"))
    again(archive, follow)
    after, _, (shows,) = only(database)
    assert (after.body_part, before.body_part) == ("KNEE", "HEAD")
    assert shows.id == shown.id
    assert features(database) == [shown.id]


@pytest.mark.usefixtures("held")
def test_a_merged_patient_is_another_group(database: Database, pacs: Any, make_object: Any, follow: Any) -> None:
    _, before, _ = only(database)
    for study in pacs.get("/studies"):
        pacs.delete(f"/studies/{study}")
    pacs.send(make_object(0, PatientID="P-merged"))
    while follow().ingested:
        pass
    _, after, _ = only(database)
    assert before != after
    with database.read() as session:
        assert session.scalars(select(Group.key)).all() == [after]
    assert after != pseudonym("P-merged", "another secret")


@pytest.mark.usefixtures("held")
def test_an_object_that_moved_to_another_study_is_there(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    study = generate_uid(entropy_srcs=["the other study"])
    for each in pacs.get("/studies"):
        pacs.delete(f"/studies/{each}")
    pacs.send(make_object(0, StudyInstanceUID=study, SeriesInstanceUID=f"{study[:60]}.1"))
    while follow().ingested:
        pass
    instance, _, _ = only(database)
    assert (instance.sop_instance_uid, instance.study_instance_uid) == (uid_of(0), study)
    assert verify(archive, Silence()).differences == []


@pytest.mark.usefixtures("held")
def test_what_is_replaced_by_something_broken_is_no_image_any_more(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    pacs.send(make_object(0, PixelData=b"\0" * 10))
    if archive.connection.kind is ArchiveKind.DICOMWEB:
        with database.write() as session:
            ledger.fetch_again(session, archive.id)
    assert follow().quarantined == 1
    with database.read() as session:
        assert session.scalars(select(Instance)).all() == []
    assert list(archive.settings.pictures.rglob("*.tif")) == []
