"""Somebody wants images out of the index: they go with all that shows them, and nothing else does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from cbmir.errors import NotFound
from cbmir.services.ingestion import removal
from cbmir.services.ingestion.labelling import label
from cbmir.services.ingestion.removal import Removal, named, remove
from cbmir.settings import Settings
from cbmir.store import instances, jobs, queries
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Frame, Group, Instance
from cbmir.types import JobKind

Stock = Callable[..., None]


def sha256_of(number: int) -> str:
    """The hash of the file of this number, as the stock has it."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def pictures(settings: Settings) -> int:
    return len(list(settings.pictures.rglob("*.tif")))


def left(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Instance.file_name).order_by(Instance.id)))


def test_a_patient_goes_with_pictures_and_group(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=3)
    before = pictures(settings)
    removal = named(database, ["patient-1"])
    assert removal.as_json() == {"images": 2, "patients": 1}
    assert remove(database, settings, removal) == 2
    assert left(database) == ["0.png", "1.png", "4.png", "5.png"]
    assert pictures(settings) == before - 2
    with database.read() as session:
        assert set(session.scalars(select(Group.key))) == {"patient-0", "patient-2"}


def test_a_file_goes_alone_or_with_the_whole_patient(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=3)
    assert named(database, [sha256_of(0), sha256_of(0)]) == Removal(named(database, [sha256_of(0)]).instance_ids, 1)
    assert remove(database, settings, named(database, [sha256_of(0)])) == 1
    assert remove(database, settings, named(database, [sha256_of(2), "patient-2"], whole_patients=True)) == 4
    assert left(database) == ["1.png"]


def shown(frame_id: int) -> dict[str, Any]:
    return {"frame_id": frame_id, "file_name": f"of frame {frame_id}.png"}


def searched(database: Database, parameters: dict[str, Any], hits: list[int] | None) -> str:
    """A search with these hits; None is one that failed."""
    with database.write() as session:
        if session.get(Encoder, "net") is None:
            what = {"preprocessing": {}, "training": {}, "metrics": {}, "weights_file": "", "dimension": 2}
            session.add(Encoder(id="net", architecture="", weights_sha256="0" * 64, **what))
        job = jobs.create(session, JobKind.RETRIEVE, parameters)
        jobs.claim(session, job.id)
        if hits is None:
            jobs.fail(session, job.id, "not-found", "No.")
            return job.id
        asked, found = parameters.get("frame_id"), [shown(each) for each in hits]
        jobs.succeed(session, job.id, {"query": {"frame_id": asked, "sop_instance_uid": None}, "hits": found})
        queries.save(
            session, job_id=job.id, encoder_id="net", picture="", frame_id=asked, k=1, where={}, hits=found
        )
        return job.id


def test_no_search_tells_of_pictures_that_have_no_uids(
    any_database: Database, settings: Settings, stock: Stock
) -> None:
    stock(any_database, patients=2)
    with any_database.read() as session:
        gone, _, asked, last = session.scalars(select(Frame.id).order_by(Frame.id))
    about, other = searched(any_database, {"frame_id": gone}, [asked]), searched(any_database, {}, [gone, last])
    failed, unconcerned = (searched(any_database, {"frame_id": each}, None) for each in (gone, last))
    with any_database.write() as session:
        explained = jobs.create(session, JobKind.EXPLAIN, {"query": about, "frame_id": asked}).id
    remove(any_database, settings, named(any_database, [sha256_of(0)]))
    with any_database.read() as session:
        there = {job.id: job for job in jobs.listing(session)}
        assert there.keys() & {about, failed, explained} == set()
        assert unconcerned in there
        assert there[other].result["hits"] == queries.get(session, other).hits == [shown(last)]


def test_a_picture_that_another_image_shows_stays(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=2)
    with database.write() as session:
        one, other = session.scalars(select(Frame).order_by(Frame.id).limit(2))
        other.picture = one.picture
        key = one.picture
    remove(database, settings, named(database, [sha256_of(0)]))
    assert list(settings.pictures.rglob(f"{key}.tif"))


def test_a_name_of_nothing_deletes_nothing(database: Database, stock: Stock) -> None:
    stock(database, patients=2)
    with pytest.raises(NotFound, match=r"Nothing here is called 1\.2\.3"):
        named(database, ["patient-1", "1.2.3"])


def test_an_image_that_was_deleted_meanwhile_is_given_no_label(
    any_database: Database, settings: Settings, stock: Stock
) -> None:
    if any_database.is_sqlite:
        pytest.skip("who writes excludes all others")
    stock(any_database, patients=1)
    with any_database.write() as session:
        image = session.scalars(select(Instance).order_by(Instance.id)).first()
        assert image
        remove(any_database, settings, named(any_database, [sha256_of(0)]))
        with pytest.raises(NotFound, match=f"no image {image.id} any more"):
            label(session, image, {"subclass": "bar"})


def test_what_is_cut_off_leaves_whole_images(
    database: Database, settings: Settings, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database, patients=3)
    monkeypatch.setattr(removal, "AT_ONCE", 2)
    wanted, calls = named(database, ["patient-0", "patient-1", "patient-2"]), iter(range(9))
    of_ids = instances.of_ids

    def dying(*given: object) -> object:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return of_ids(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(instances, "of_ids", dying)
    with pytest.raises(KeyboardInterrupt):
        remove(database, settings, wanted)
    assert left(database) == ["4.png", "5.png"]
    monkeypatch.undo()
    assert remove(database, settings, wanted) == 2, "done again it does the rest"
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Frame)) == 0
