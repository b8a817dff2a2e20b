"""Browsing, filter values and counts, on both databases."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from sqlalchemy import select

from cbmir.errors import NotFound
from cbmir.services.retrieval import library
from cbmir.services.retrieval.library import Sort
from cbmir.store import encoders, features, instances, jobs, quarantine
from cbmir.store.filters import Where
from cbmir.store.labels import set_labels
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.types import InstanceHeader, JobKind, LabelOrigin, NewFrame

NAMES = ["one.dcm", "Two_50%.dcm", "three.png"]


@pytest.fixture
def stored(any_database: Database) -> list[int]:
    """Two DICOM objects, the second with two frames, and a plain image; their ids."""
    ids = []
    with any_database.write() as session:
        for number, name in enumerate(NAMES):
            header = InstanceHeader(f"1.2.{number}", "1.2.9", "1.2.7", "1.2.8", "MR", "HEAD", "1.2.6", "")
            numbers = (1, 2) if number == 1 else (1,)
            frames = [NewFrame(n, f"{number}{n}" * 32, 8, 8, "dicom-2d/1") for n in numbers]
            found = instances.add(
                session,
                header=header if name.endswith("dcm") else None,
                file_name=name,
                origin="",
                sha256=f"{number:064}",
                group_key=f"p-{number // 2}",
                frames=frames,
                labels={"subclass": ("brain" if number else "knee", LabelOrigin.MANIFEST)},
            )
            ids.append(found.id)
    return ids


def names(database: Database, where: Where | None = None, **options: object) -> list[str]:
    """The file names that browsing gives, in its order."""
    with database.read() as session:
        return [card.file_name for card in library.browse(session, where or Where(), **options).cards]  # type: ignore[arg-type]


@pytest.mark.usefixtures("stored")
def test_the_newest_come_first_page_by_page(any_database: Database) -> None:
    assert names(any_database) == NAMES[::-1]
    assert names(any_database, limit=2) == NAMES[:0:-1]
    assert names(any_database, limit=2, offset=2) == NAMES[:1]
    with any_database.read() as session:
        assert library.browse(session, Where(), limit=1).total == 3


def test_the_newest_study_or_the_first_name_comes_first_page_by_page(
    any_database: Database, stored: list[int]
) -> None:
    with any_database.write() as session:
        library.instance(session, stored[0]).study_date = date(2026, 1, 5)
        library.instance(session, stored[1]).study_date = date(2024, 1, 5)
    for sort, expected in ((Sort.STUDY_DATE, NAMES), (Sort.FILE_NAME, ["Two_50%.dcm", "one.dcm", "three.png"])):
        assert names(any_database, sort=sort) == expected
        assert [*names(any_database, sort=sort, limit=2), *names(any_database, sort=sort, offset=2)] == expected


@pytest.mark.usefixtures("stored")
def test_studies_without_a_date_go_on_where_those_with_one_end(any_database: Database) -> None:
    for dated in (0, 1, 2, 3):
        with any_database.write() as session:
            for number, each in enumerate(session.scalars(select(Instance).order_by(Instance.id))):
                each.study_date = date(2026, 1, 9 - number) if number < dated else None
        whole = names(any_database, sort=Sort.STUDY_DATE)
        assert whole[:dated] == NAMES[:dated]
        assert sorted(whole) == sorted(NAMES)
        assert [names(any_database, sort=Sort.STUDY_DATE, limit=1, offset=at) for at in range(4)] == [
            *([name] for name in whole),
            [],
        ]


@pytest.mark.usefixtures("stored")
def test_more_than_enough_are_not_counted(any_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "MOST_COUNTED", 1)
    with any_database.read() as session:
        told = [library.browse(session, Where(), limit=1, offset=at) for at in (0, 1, 2)]
        brains = library.browse(session, Where.parse(["subclass=brain"]), limit=1)
    assert [(each.total, each.more) for each in told] == [(2, True), (3, False), (3, False)]
    assert (brains.total, brains.more) == (2, False)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("many", [0, 2], ids=["many", "few"])
@pytest.mark.parametrize("sort", Sort)
def test_a_filter_that_keeps_many_and_one_that_keeps_few_find_the_same(
    any_database: Database, monkeypatch: pytest.MonkeyPatch, many: float, sort: Sort
) -> None:
    monkeypatch.setattr(library, "MANY", many)
    for terms, expected in [
        (["modality=mr"], {"one.dcm", "Two_50%.dcm"}),
        (["modality=mr", "subclass=brain"], {"Two_50%.dcm"}),
        (["group=p-0", "subclass=knee"], {"one.dcm"}),
        (["subclass=knee OR modality!=mr", "body_part!=knee"], {"one.dcm", "three.png"}),
        (["subclass=none"], set()),
    ]:
        found = names(any_database, Where.parse(terms), sort=sort)
        assert (set(found), len(found)) == (expected, len(expected))


@pytest.mark.usefixtures("stored")
def test_filters_and_text_keep_what_matches(any_database: Database) -> None:
    assert names(any_database, Where.parse(["subclass=brain"])) == NAMES[:0:-1]
    assert names(any_database, Where.parse(["modality=mr", "subclass=brain"])) == ["Two_50%.dcm"]
    assert names(any_database, text="TWO") == ["Two_50%.dcm"]
    assert names(any_database, text="1.2.0") == ["one.dcm"]
    assert names(any_database, text="1.2.7") == ["Two_50%.dcm", "one.dcm"]
    assert names(any_database, text="0%") == ["Two_50%.dcm"]
    assert names(any_database, text="%") == ["Two_50%.dcm"]
    assert names(any_database, text="_") == ["Two_50%.dcm"]
    assert names(any_database, text="'; --") == []


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("term", ["archive=nix", "archive!=nix", "subclass=brain OR archive=nix"])
def test_an_archive_that_there_is_not_is_named(any_database: Database, term: str) -> None:
    with pytest.raises(NotFound, match="no archive nix"):
        names(any_database, Where.parse([term]))


def test_a_card_tells_of_its_frames_and_labels(any_database: Database, stored: list[int]) -> None:
    with any_database.read() as session:
        (card,) = library.browse(session, Where(), text="two").cards
        frames = instances.frames_of(session, "1.2.1")
    assert card.instance_id == stored[1]
    assert card.frames == 2
    assert card.frame_id == frames[0].id
    assert card.labels == {"subclass": "brain"}
    assert card.as_json()["sop_instance_uid"] == "1.2.1"


def test_an_instance_is_shown_whole(any_database: Database, stored: list[int]) -> None:
    with any_database.read() as session:
        found = library.instance(session, stored[1])
    assert [frame.frame_number for frame in found.frames] == [1, 2]
    assert found.group.key == "p-0"
    assert library.labels_of(found) == {"subclass": "brain"}
    with any_database.read() as session, pytest.raises(NotFound, match="no image 999"):
        library.instance(session, 999)


@pytest.mark.usefixtures("stored")
def test_the_values_to_filter_by_are_counted_most_frequent_first(any_database: Database) -> None:
    with any_database.read() as session:
        found = library.facets(session)
        before = library.facets_stamp(session)
    assert found.labels["subclass"] == [("brain", 2), ("knee", 1)]
    assert found.body_parts == [("HEAD", 2)]
    with any_database.write() as session:
        known = instances.find_by_sop_instance_uid(session, "1.2.0")
        assert known
        set_labels(session, known, {"side": "left"}, LabelOrigin.USER)
        assert library.facets_stamp(session) != before


@pytest.mark.usefixtures("stored")
def test_a_value_that_names_several_is_offered_by_each(any_database: Database) -> None:
    with any_database.write() as session:
        known = instances.find_by_sop_instance_uid(session, "1.2.1")
        assert known
        set_labels(session, known, {"subclass": "knee | tear"}, LabelOrigin.USER)
        assert library.facets(session).labels["subclass"] == [("knee", 2), ("brain", 1), ("tear", 1)]
        offered = [Where.parse([f"subclass={value}"]) for value in ("knee", "brain", "tear")]
        assert [library.browse(session, where).total for where in offered] == [2, 1, 1]


@pytest.mark.usefixtures("stored")
def test_everything_is_counted(any_database: Database) -> None:
    with any_database.write() as session:
        encoder = encoders.add(
            session, id="cnn-1", architecture="cnn", weights_file="w", weights_sha256="0" * 64, dimension=2,
            preprocessing={}, training={}, metrics={},
        )  # fmt: skip
        frames = [frame.id for frame in instances.frames_of(session, "1.2.1")]
        features.add_batch(session, encoder, frames, np.zeros((2, 2), np.float32))
        quarantine.put(session, file_name="x", origin="", sha256="1", code="no-pixels", reason="none")
        jobs.create(session, JobKind.TRAIN, {})
        jobs.create(session, JobKind.TRAIN, {})
    with any_database.read() as session:
        counted = library.statistics(session)
    assert counted == library.Statistics(
        groups=2, instances=3, frames=4, quarantined=1, features={"cnn-1": 2}, jobs={("train", "queued"): 2}
    )
