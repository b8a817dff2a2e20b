"""A deletion leaves nothing of an image: neither here nor in answers, neither pictures nor features."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from cbmir.archive.base import Logged
from cbmir.archive.connection import Connection
from cbmir.errors import BadRequest
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.archives.registered import Followed, add, followed, remove
from cbmir.services.archives.status import of
from cbmir.services.archives.sweep import sweep
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.features.extract import extract
from cbmir.services.ingestion import removal
from cbmir.services.ingestion.removal import delete_instances
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import archive_studies, archives, instances, jobs, ledger, quarantine, queries
from cbmir.store.session import Database
from cbmir.store.tables import Feature, Frame, Group, Instance, Job, Query
from cbmir.types import JobKind, ObjectState


@pytest.fixture
def ask(database: Database, settings: Settings, add_network: Any) -> Any:
    """Asks about an object of the index, and keeps question and answer as a worker does; the job's id."""

    def question(uid: str, k: int = 3) -> str:
        answer = retrieve(database, settings, Question(k=k, sop_instance_uid=uid))
        result = answer.as_json()
        with database.write() as session:
            job = jobs.create(session, JobKind.RETRIEVE, {"sop_instance_uid": uid})
            jobs.claim(session, job.id)
            jobs.succeed(session, job.id, result)
            queries.save(
                session, job_id=job.id, encoder_id=answer.encoder, picture=answer.picture,
                frame_id=answer.frame_id, k=k, where={}, hits=result["hits"],
            )  # fmt: skip
        return job.id

    add_network(database)
    return question


@pytest.mark.usefixtures("archive")
def test_what_an_archive_holds_is_deleted_there(
    database: Database, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    pacs.send(make_object(0))
    follow()
    with pytest.raises(BadRequest, match="1 of these images is in an archive that is followed: pacs"):
        removal.named(database, [uid_of(0)])
    with database.read() as session:
        assert instances.of_uids(session, [uid_of(0)])


def test_questions_about_it_go_and_other_answers_name_it_no_more(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any, ask: Any
) -> None:
    ids = [pacs.send(make_object(seed, patient=seed)) for seed in range(4)]
    follow()
    extract(database, archive.settings, None, Silence())
    about, other = ask(uid_of(0)), ask(uid_of(1))
    with database.read() as session:
        assert uid_of(0) in json.dumps(session.get(Job, other).result)
    pacs.delete(f"/instances/{ids[0]}")
    follow()
    with database.read() as session:
        assert session.get(Job, about) is None
        assert session.get(Query, about) is None
        assert uid_of(0) not in json.dumps([session.get(Job, other).result, session.get(Query, other).hits])
        assert len(session.get(Query, other).hits) == 2
        assert len(session.scalars(select(Feature)).all()) == 3
    assert len(list(archive.settings.pictures.rglob("*.tif"))) == 3


def test_what_was_set_aside_is_forgotten_too(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    broken = pacs.send(make_object(0, PixelData=b"\0" * 10))
    assert follow().quarantined == 1
    with database.read() as session:
        (row,) = quarantine.listing(session)
        assert row.origin.startswith("archive:pacs/")
        assert ledger.counts(session, archive.id)[ObjectState.SET_ASIDE] == 1
    pacs.delete(f"/instances/{broken}")
    follow()
    with database.read() as session:
        assert quarantine.count(session) == 0


def test_an_object_of_two_archives_goes_with_the_last(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any, connection: Connection
) -> None:
    add(database, archive.settings, replace(connection, name="second"))
    gone = pacs.send(make_object(0))
    follow()
    with followed(database, archive.settings, "second") as second, Isolation(1) as isolation:
        sweep(second)
        assert synchronise(second, Silence(), isolation).duplicates == 1
        pacs.delete(f"/instances/{gone}")
        with database.write() as session:
            archives.change(session, archive.id, changed_at=None)
        follow()
        with database.read() as session:
            assert len(session.scalars(select(Instance)).all()) == 1
            assert of(session, "pacs").changed_at is not None, "it has changed, though nothing was deleted here"
        sweep(second)
    with database.read() as session:
        assert session.scalars(select(Instance)).all() == []


@pytest.mark.parametrize("delete_images", [True, False])
def test_a_removed_archive_takes_its_images_with_it_if_that_is_wished(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any, delete_images: bool
) -> None:
    pacs.send(make_object(0))
    follow()
    assert remove(database, archive.settings, "pacs", delete_images=delete_images) == int(delete_images)
    with database.read() as session:
        assert len(session.scalars(select(Instance)).all()) == int(not delete_images)
        assert archives.listing(session) == []
        assert ledger.all_alive(session, archive.id) == []


def test_a_study_of_which_the_log_spoke_is_looked_into_though_it_looks_as_before(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Callable[[], Any]
) -> None:
    if not isinstance(archive.archive, Logged):
        pytest.skip("an archive without a log is swept at every look")
    pacs.send(make_object(0))
    follow()
    pacs.send(make_object(1))  # within the same second its study may get the time that it had before
    follow()
    with database.read() as session:
        (study,) = archive_studies.known(session, archive.id).values()
    assert (study.instances, study.stamp) == (1, archive_studies.in_part(study.stamp))
    assert sweep(archive).compared == 1


def test_a_deletion_waits_for_an_answer_that_is_being_recorded_and_then_cuts_it(
    any_database: Database, settings: Settings, add_network: Any
) -> None:
    uids = ["1.2.3", "1.2.4"]
    encoder = add_network(any_database)
    with any_database.write() as session:
        for uid in uids:
            frame = Frame(frame_number=1, picture=uid[-1] * 64, rows=8, columns=8, pipeline="test")
            named = {"sop_instance_uid": uid, "study_instance_uid": f"{uid}.5", "sha256": uid[-1] * 64}
            session.add(Instance(group=Group(key=f"p-{uid}"), file_name="a", frames=[frame], **named))
        session.flush()
        (shown,) = instances.frames_of(session, uids[1])
        hits = [{"frame_id": shown.id, "study_instance_uid": f"{uids[1]}.5"}]
        job = jobs.claim(session, jobs.create(session, JobKind.RETRIEVE, {}).id)
    assert job is not None
    result = {"query": {"frame_id": None}, "hits": hits}
    recording, began = any_database.write(), threading.Event()
    session = recording.__enter__()
    result = queries.of_today(session, result)
    assert len(result["hits"]) == 1
    jobs.succeed(session, job.id, result)
    queries.save(
        session, job_id=job.id, encoder_id=encoder, picture="", frame_id=None, k=1, where={}, hits=result["hits"]
    )

    def delete() -> None:
        began.set()
        with any_database.write() as own:
            delete_instances(own, Shelf(settings.pictures), instances.of_uids(own, [uids[1]]))

    deleting = threading.Thread(target=delete)
    deleting.start()
    began.wait()
    deleting.join(0.5)
    assert deleting.is_alive(), "it waits"
    recording.__exit__(None, None, None)
    deleting.join(30)
    with any_database.read() as session:
        assert session.get(Job, job.id).result["hits"] == session.get(Query, job.id).hits == []
