"""Several files in one transaction: each gets what it would have got alone, and a refused one harms no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from cbmir.archive.folder import Source
from cbmir.errors import BadRequest, ConflictingInstance
from cbmir.services.ingestion.batch import record_all, still_unused, unwanted
from cbmir.services.ingestion.record import Outcome, Prepared, Recorded
from cbmir.store import instances
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Instance
from cbmir.types import ConvertedObject, InstanceHeader, Labelling, LabelOrigin, NewFrame

Make = Callable[..., Prepared]

SAME = ("1.2.840.10008.5.1.4.1.1.2", "2.25.100", "2.25.200", "CT", "HEAD", "1.2.840.10008.1.2.1", "P1")
"""SOP class, study, series, modality, body part, transfer syntax and patient of every object."""


@pytest.fixture
def make() -> Make:
    """A prepared object of these bytes, UID and picture, which stand for themselves by a number."""

    def prepared(content: int, uid: int | None = None, picture: int = 0, group: str = "p-1") -> Prepared:
        header = None if uid is None else InstanceHeader(f"2.25.{uid}", *SAME)
        sha256, key = f"{content:064x}", f"{picture:064x}"
        return Prepared(
            source=Source(f"{content}.dcm", f"/inbox/{content}.dcm", lambda: b""),
            sha256=sha256,
            file_name=f"{content}.dcm",
            labelling=None,
            group=group,
            converted=ConvertedObject(sha256=sha256, header=header, pictures=(), pipeline="drawn/1"),
            frames=(NewFrame(1, key, 8, 8, "drawn/1"),),
        )

    return prepared


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr("cbmir.services.ingestion.batch.LONGEST_SECONDS", 60.0)


def outcomes(became: list[Recorded | Exception]) -> list[object]:
    return [each.outcome if isinstance(each, Recorded) else type(each) for each in became]


def test_each_of_a_batch_gets_what_it_would_have_got_alone(any_database: Database, make: Make) -> None:
    with any_database.write() as session:
        record_all(session, [make(1, uid=1, picture=1)])
    batch = [
        make(2, uid=2, picture=2),
        make(1, uid=1, picture=1),  # known by its bytes
        make(3, uid=1, picture=9),  # another object of a known UID
        make(4, uid=3, picture=4),
        make(5, uid=3, picture=5),  # another object of a UID that is new in this batch
        make(4, uid=3, picture=4),  # the same file twice
        make(6, picture=6, group=""),  # cannot be kept
        make(7, picture=7),
    ]
    with any_database.write() as session:
        became = record_all(session, batch)
    assert outcomes(became) == [
        Outcome.INGESTED,
        Outcome.DUPLICATE,
        ConflictingInstance,
        Outcome.INGESTED,
        ConflictingInstance,
        Outcome.DUPLICATE,
        BadRequest,
        Outcome.INGESTED,
    ]
    with any_database.read() as session:
        stored = session.scalars(select(Instance).order_by(Instance.id)).all()
        assert [each.file_name for each in stored] == ["1.dcm", "2.dcm", "4.dcm", "7.dcm"]
        pictures = select(Instance.file_name, Frame.picture).join(Frame, Frame.instance_id == Instance.id)
        assert {(name, int(key, 16)) for name, key in session.execute(pictures)} == {
            ("1.dcm", 1),
            ("2.dcm", 2),
            ("4.dcm", 4),
            ("7.dcm", 7),
        }
        assert {label.name for label in stored[0].labels} == {"modality"}


def test_what_a_refused_one_has_written_is_undone_alone(database: Database, make: Make) -> None:
    with database.write() as session:
        record_all(session, [make(1, uid=1)])
    labels = Labelling({"subclass": "a", "": "no name"}, None, LabelOrigin.MANIFEST)
    with database.write() as session:
        became = record_all(session, [replace(make(1, uid=1), labelling=labels), make(2, uid=2)])
    assert outcomes(became) == [BadRequest, Outcome.INGESTED]
    with database.read() as session:
        known = instances.find_by_sop_instance_uid(session, "2.25.1")
        assert known is not None
        assert [label.name for label in known.labels] == ["modality"]
        assert instances.find_by_sop_instance_uid(session, "2.25.2") is not None


def test_the_lock_is_not_held_for_all_of_many_that_take_long(
    database: Database, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir.services.ingestion.batch.LONGEST_SECONDS", 0.0)
    known = [make(number, uid=number) for number in range(3)]
    with database.write() as session:
        assert outcomes(record_all(session, known)) == 3 * [Outcome.INGESTED]
    with database.write() as session:
        became = record_all(session, known)
    assert outcomes(became) == [Outcome.DUPLICATE, Outcome.LATER, Outcome.LATER]


def test_a_picture_that_another_of_the_batch_shows_is_kept(database: Database, make: Make) -> None:
    with database.write() as session:
        record_all(session, [make(1, uid=1, picture=1)])
        dropped = unwanted(make(2, uid=2, picture=1))
        assert still_unused(session, dropped) == Recorded(Outcome.UNWANTED)
        assert still_unused(session, unwanted(make(3, uid=3, picture=3))) == unwanted(make(3, uid=3, picture=3))


def test_an_archives_word_replaces_within_a_batch_too(any_database: Database, make: Make) -> None:
    with any_database.write() as session:
        became = record_all(session, [make(1, uid=1, picture=1), make(2, uid=1, picture=2)], replaces=True)
    assert outcomes(became) == [Outcome.INGESTED, Outcome.REPLACED]
    with any_database.read() as session:
        known = instances.find_by_sop_instance_uid(session, "2.25.1")
        assert known is not None
        assert known.sha256 == f"{2:064x}"
        assert [int(frame.picture, 16) for frame in known.frames] == [2]
