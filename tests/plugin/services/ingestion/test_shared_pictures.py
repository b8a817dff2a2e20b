"""Images of the very same pixels share a picture: one that goes does not take it from one that comes meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from cbmir.archive.folder import Source
from cbmir.archive.manifest import NoLabels
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.batch import record_all
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.ingestion.record import Prepared, prepare, record
from cbmir.services.ingestion.removal import named, remove
from cbmir.services.ingestion.renewal import discard
from cbmir.services.ingestion.run import Ingestion
from cbmir.settings import Settings
from cbmir.store import jobs, queries
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Frame
from cbmir.types import JobKind

FIRST, LIKE = "1.2.3.1", "1.2.3.2"


class AndThen(Isolation):
    """Does something once, after the first piece of work."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__(1)
        self._then = iter([then])

    def run(self, *args: Any, **kwargs: Any) -> Any:
        made = super().run(*args, **kwargs)
        for then in self._then:
            then()
        return made


@pytest.fixture
def like(any_database: Database, settings: Settings, inbox: Path, make_dicom: Callable[..., bytes]) -> Path:
    """An image is in the index; the file of another one that shows the same."""
    (inbox / "first.dcm").write_bytes(make_dicom(0, SOPInstanceUID=FIRST))
    ingest(any_database, settings, [inbox / "first.dcm"], None, Silence())
    (inbox / "like.dcm").write_bytes(make_dicom(0, SOPInstanceUID=LIKE))
    return inbox / "like.dcm"


def prepared(file: Path, database: Database, settings: Settings, isolation: Isolation) -> Prepared:
    data = file.read_bytes()
    source = Source(file.name, str(file), lambda: data, file)
    return prepare(source, data, hashlib.sha256(data).hexdigest(), NoLabels(), database, settings, isolation)


def is_shown(database: Database, settings: Settings) -> bool:
    """Whether the picture of the only frame is on the shelf."""
    with database.read() as session:
        return Shelf(settings.pictures).has(session.scalars(select(Frame.picture)).one())


def test_a_picture_that_goes_before_its_like_is_recorded_is_made_again(
    any_database: Database, settings: Settings, like: Path
) -> None:
    gone = AndThen(lambda: remove(any_database, settings, named(any_database, [FIRST])))
    data = like.read_bytes()
    ingestion = Ingestion(any_database, settings, NoLabels(), lambda *_: None, isolation=gone)
    counts = ingestion.run([Source(like.name, str(like), lambda: data, like)], 1, Silence())
    assert (counts.ingested, counts.files) == (1, 1)
    assert is_shown(any_database, settings)


def test_who_deletes_waits_for_who_records_the_same_picture(
    any_database: Database, settings: Settings, like: Path
) -> None:
    with Isolation(1) as isolation:
        new = prepared(like, any_database, settings, isolation)
    removal = named(any_database, [FIRST])
    thread = Thread(target=remove, args=(any_database, settings, removal))
    with any_database.write() as session:
        record_all(session, [new])
        thread.start()
        thread.join(0.5)
    thread.join()
    assert is_shown(any_database, settings)


@pytest.mark.parametrize("changed", [{"seed": 1}, {"StudyInstanceUID": "1.2.3.9"}])
def test_no_answer_tells_of_what_a_replaced_image_was(
    changed: dict[str, Any],
    any_database: Database,
    settings: Settings,
    like: Path,
    make_dicom: Callable[..., bytes],
) -> None:
    with any_database.write() as session:
        frame = session.scalars(select(Frame)).one()
        what = {"preprocessing": {}, "training": {}, "metrics": {}, "weights_file": "", "dimension": 2}
        session.add(Encoder(id="net", architecture="", weights_sha256="0" * 64, **what))
        job = jobs.create(session, JobKind.RETRIEVE, {}).id
        jobs.claim(session, job)
        study = frame.instance.study_instance_uid
        hits = [{"frame_id": frame.id, "sop_instance_uid": FIRST, "study_instance_uid": study}]
        jobs.succeed(session, job, {"query": {"frame_id": None, "sop_instance_uid": None}, "hits": hits})
        asked = {"picture": "", "frame_id": None, "k": 1, "where": {}}
        queries.save(session, job_id=job, encoder_id="net", hits=hits, **asked)
    like.write_bytes(make_dicom(**{"seed": 0, "SOPInstanceUID": FIRST, "BodyPartExamined": "KNEE", **changed}))
    with Isolation(1) as isolation:
        other = prepared(like, any_database, settings, isolation)
    with any_database.write() as session:
        record(session, other, replaces=True)
    with any_database.read() as session:
        assert queries.get(session, job).hits == jobs.get(session, job).result["hits"] == []


def test_what_a_replaced_image_showed_stays_for_one_that_came_meanwhile(
    any_database: Database, settings: Settings, inbox: Path, like: Path, make_dicom: Callable[..., bytes]
) -> None:
    (inbox / "first.dcm").write_bytes(make_dicom(1, SOPInstanceUID=FIRST))
    with Isolation(1) as isolation:
        other = prepared(inbox / "first.dcm", any_database, settings, isolation)
    with any_database.write() as session:
        replaced = record(session, other, replaces=True)
    ingest(any_database, settings, [like], None, Silence())
    discard(any_database, settings, replaced)
    with any_database.read() as session:
        assert all(map(Shelf(settings.pictures).has, session.scalars(select(Frame.picture))))
