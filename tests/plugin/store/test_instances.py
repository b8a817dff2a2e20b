"""Instances, their frames and labels, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from sqlalchemy import func, select

from cbmir.errors import BadRequest, ConflictingInstance, NotFound
from cbmir.store import features, instances, jobs, queries
from cbmir.store.labels import set_labels
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Feature, Frame, Group, Instance, Label
from cbmir.types import InstanceHeader, JobKind, LabelOrigin, NewFrame, UltrasoundRegion

Make = Callable[..., Instance]
Header = Callable[..., InstanceHeader]


def test_an_added_instance_is_found_by_bytes_and_uid(
    any_database: Database, new_instance: Make, new_header: Header
) -> None:
    with any_database.write() as session:
        added = new_instance(session, "a.dcm", of=new_header("1.2.3.9"), labels={"modality": "mri"}, frames=2)
    with any_database.read() as session:
        by_bytes = instances.find_by_sha256(session, added.sha256)
        by_uid = instances.find_by_sop_instance_uid(session, "1.2.3.9")
        assert by_bytes is by_uid
        assert by_bytes is not None
        assert [frame.frame_number for frame in by_bytes.frames] == [1, 2]
        assert (by_bytes.modality, by_bytes.body_part, by_bytes.group.key) == ("MR", None, "p-1")
        assert instances.find_by_sha256(session, "0" * 64) is None
        assert instances.find_by_sop_instance_uid(session, "1.2") is None


def test_a_patient_key_is_nowhere_in_the_row(
    any_database: Database, new_instance: Make, new_header: Header
) -> None:
    with any_database.write() as session:
        row = new_instance(session, "a.dcm", of=new_header("1.2.3.9"))
        assert "never stored" not in str(vars(row))


def test_groups_are_shared(any_database: Database, new_instance: Make) -> None:
    with any_database.write() as session:
        first, second = new_instance(session, "a", group="p-1"), new_instance(session, "b", group="p-1")
        other = new_instance(session, "c", group="p-2")
        assert first.group_id == second.group_id != other.group_id


@pytest.mark.parametrize("key", ["", "p" * 201])
def test_a_group_needs_a_key_of_bearable_length(database: Database, new_instance: Make, key: str) -> None:
    with pytest.raises(BadRequest, match="group"), database.write() as session:
        new_instance(session, "a", group=key)


def test_a_known_uid_with_other_bytes_is_refused(
    any_database: Database, new_instance: Make, new_header: Header
) -> None:
    with any_database.write() as session:
        new_instance(session, "a", of=new_header("1.2.3.9"))
    with pytest.raises(ConflictingInstance, match=r"1\.2\.3\.9"), any_database.write() as session:
        new_instance(session, "b", of=new_header("1.2.3.9"))


def test_two_threads_that_add_the_same_bytes_make_one_row(any_database: Database, new_instance: Make) -> None:
    ids: list[int] = []
    together = threading.Barrier(2)

    def add() -> None:
        together.wait()
        with any_database.write() as session:
            ids.append(new_instance(session, "a").id)

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 2
    assert ids[0] == ids[1]


def test_text_that_no_database_takes_is_made_storable(any_database: Database, new_instance: Make) -> None:
    with any_database.write() as session:
        row = new_instance(session, "b\udce4d\0name", labels={"sub\0class": "x\udcff"})
    with any_database.read() as session:
        stored = session.get_one(Instance, row.id)
        assert stored.file_name == "b\\udce4dname"
        assert [(label.name, label.value) for label in stored.labels] == [("subclass", "x\\udcff")]


def test_a_header_longer_than_its_column_is_cut(
    any_database: Database, new_instance: Make, new_header: Header
) -> None:
    with any_database.write() as session:
        row = new_instance(session, "a", of=new_header("1.2", modality="M" * 40, body_part="B" * 100))
        assert (row.modality, row.body_part) == ("M" * 16, "B" * 64)


@pytest.mark.parametrize("origin", list(LabelOrigin))
def test_a_label_gives_way_to_its_own_and_higher_origins_only(
    database: Database, new_instance: Make, origin: LabelOrigin
) -> None:
    replaces = list(LabelOrigin).index(origin) >= list(LabelOrigin).index(LabelOrigin.FOLDER)
    with database.write() as session:
        row = new_instance(session, "a", labels={"subclass": "old"})  # from a folder
        assert set_labels(session, row, {"subclass": "new"}, origin) is replaces
        assert not set_labels(session, row, {"subclass": "new"}, origin)
    with database.read() as session:
        (label,) = session.scalars(select(Label))
        assert (label.value, label.origin) == (("new", origin) if replaces else ("old", LabelOrigin.FOLDER))


def test_labels_of_other_names_stay(any_database: Database, new_instance: Make) -> None:
    with any_database.write() as session:
        row = new_instance(session, "a", labels={"modality": "mri"})
        assert set_labels(session, row, {"subclass": "new"}, LabelOrigin.HEADER)
        assert {label.name: label.value for label in row.labels} == {"modality": "mri", "subclass": "new"}


@pytest.mark.parametrize("labels", [{"": "x"}, {"x": ""}, {"n" * 65: "x"}, {"x": "v" * 201}])
def test_labels_of_impossible_length_are_refused(
    database: Database, new_instance: Make, labels: dict[str, str]
) -> None:
    with pytest.raises(BadRequest, match="label"), database.write() as session:
        new_instance(session, "a", labels=labels)


def test_a_group_can_be_changed(any_database: Database, new_instance: Make) -> None:
    with any_database.write() as session:
        row = new_instance(session, "a", group="p-1")
        assert instances.set_group(session, row, "p-2")
        assert not instances.set_group(session, row, "p-2")
    with any_database.read() as session:
        assert session.get_one(Instance, row.id).group.key == "p-2"


def test_a_frame_comes_with_what_a_page_shows(
    any_database: Database, new_instance: Make, new_header: Header
) -> None:
    with any_database.write() as session:
        row = new_instance(session, "a", of=new_header("1.2.3"), labels={"subclass": "x"}, frames=3)
        frame_id = row.frames[1].id
    with any_database.read() as session:
        frame = instances.frame(session, frame_id)
        several = instances.frames_of(session, "1.2.3")
    assert (frame.frame_number, frame.instance.group.key, frame.instance.labels[0].value) == (2, "p-1", "x")
    assert [each.frame_number for each in several] == [1, 2, 3]
    assert several[0].instance.labels[0].value == "x"


def test_unknown_frames(any_database: Database) -> None:
    with any_database.read() as session:
        assert instances.frames_of(session, "1.2") == []
        with pytest.raises(NotFound, match="77"):
            instances.frame(session, 77)


def test_deleting_takes_everything_that_hangs_on_it(
    any_database: Database, new_instance: Make, new_encoder: Callable[..., Encoder]
) -> None:
    with any_database.write() as session:
        gone = new_instance(session, "gone", group="p-1", labels={"subclass": "x"}, frames=2)
        kept = new_instance(session, "kept", group="p-2", labels={"subclass": "y"})
        encoder = new_encoder(session)
        frame_ids = [frame.id for frame in (*gone.frames, *kept.frames)]
        features.add_batch(session, encoder, frame_ids, np.ones((3, 4), np.float32))
    with any_database.write() as session:
        pictures = [frame.picture for frame in session.get_one(Instance, gone.id).frames]
        assert instances.delete(session, session.get_one(Instance, gone.id)) == sorted(pictures)
    with any_database.read() as session:
        left = {
            table: session.scalar(select(func.count()).select_from(table))
            for table in (Instance, Frame, Label, Feature, Group)
        }
        assert left == dict.fromkeys(left, 1)
        assert session.get_one(Encoder, encoder.id).generation == 2


def test_deleting_keeps_pictures_and_groups_in_use(
    any_database: Database, new_instance: Make, new_encoder: Callable[..., Encoder]
) -> None:
    with any_database.write() as session:
        gone = new_instance(session, "gone", frames=3)
        new_instance(session, "twin", pictures="gone", frames=1)
        job = jobs.create(session, JobKind.RETRIEVE, {})
        asked = gone.frames[1]
        queries.save(
            session,
            job_id=job.id,
            encoder_id=new_encoder(session).id,
            picture=asked.picture,
            frame_id=asked.id,
            k=5,
            where={},
            hits=[],
        )
        assert instances.delete(session, gone) == [gone.frames[2].picture]
    with any_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Group)) == 1
        assert queries.get(session, job.id).frame_id is None


def test_an_id_never_comes_back(any_database: Database, new_instance: Make) -> None:
    with any_database.write() as session:
        first = new_instance(session, "a")
        frame_id = first.frames[0].id
        instances.delete(session, first)
        again = new_instance(session, "b")
        assert (again.id > first.id, again.frames[0].id > frame_id) == (True, True)


def test_a_renewed_instance_keeps_its_row_group_and_labels_and_gets_new_frames(
    any_database: Database,
    new_instance: Make,
    new_header: Header,
    new_encoder: Callable[..., Encoder],
) -> None:
    with any_database.write() as session:
        row = new_instance(session, "a", of=new_header("1.2"), labels={"subclass": "tear"}, frames=2)
        other = new_instance(session, "b", pictures="a")  # shows the first picture too
        encoder, untouched = new_encoder(session), new_encoder(session, "net-2")
        old = [frame.id for frame in row.frames]
        features.add_batch(session, encoder, [*old, other.frames[0].id], np.ones((3, 4), np.float32))
        features.add_batch(session, untouched, [other.frames[0].id], np.ones((1, 4), np.float32))
        second = row.frames[1].picture
    with any_database.write() as session:
        gone = instances.renew(
            session,
            session.get_one(Instance, row.id),
            header=replace(new_header("1.2"), photometric="RGB", laterality="R"),
            frames=[NewFrame(n, f"{n}" * 64, 8, 9, "test/2", ("invert",)) for n in (1, 2, 3)],
            frame_count=12,
        )
    assert gone == [second]
    with any_database.read() as session:
        renewed = session.get_one(Instance, row.id)
        assert (renewed.photometric, renewed.laterality, renewed.frame_count) == ("RGB", "R", 12)
        assert (renewed.group.key, renewed.file_name, renewed.sha256) == ("p-1", "a", row.sha256)
        assert [label.value for label in renewed.labels] == ["tear"]
        assert [(each.frame_number, each.pipeline, each.steps) for each in renewed.frames] == [
            (n, "test/2", ["invert"]) for n in (1, 2, 3)
        ]
        assert not {frame.id for frame in renewed.frames} & set(old), "an old id never names another picture"
        assert features.count(session, encoder.id) == 1
        assert session.get_one(Encoder, encoder.id).generation == 2
        assert session.get_one(Encoder, untouched.id).generation == 1


def test_what_a_header_says_of_the_picture_is_kept(
    any_database: Database, new_instance: Make, new_header: Header
) -> None:
    region = UltrasoundRegion(1, 2, 3, 4, 1, 2)
    told = {"photometric": "X" * 20, "burned_in_annotation": "YES", "laterality": "L", "view_position": "MLO"}
    with any_database.write() as session:
        full = new_instance(session, "a", of=replace(new_header("1.2"), **told, ultrasound_regions=(region,)))
        empty = new_instance(session, "b", of=new_header("1.3"), frames=3)
    with any_database.read() as session:
        full, empty = session.get_one(Instance, full.id), session.get_one(Instance, empty.id)
        assert (full.photometric, full.burned_in_annotation, full.view_position) == ("X" * 16, "YES", "MLO")
        assert full.ultrasound_regions == [asdict(region)]
        assert (empty.photometric, empty.laterality, empty.ultrasound_regions) == (None, None, None)
        assert (full.frame_count, empty.frame_count) == (1, 3)
