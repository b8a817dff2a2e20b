"""Kept indexes: always the database's state, also in other processes; damaged or foreign ones are made anew."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import select, update

from cbmir.errors import BadRequest, BrokenFile, EncoderMismatch, NotFound
from cbmir.services.retrieval import gallery
from cbmir.services.retrieval.indexes import benchmark, index_files, report
from cbmir.services.retrieval.indexes.backends.choose import check
from cbmir.services.retrieval.indexes.backends.files import Files
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database
from cbmir.store.tables import DroppedFeature, Encoder

if TYPE_CHECKING:
    from conftest import Archive


def kept(archive: Archive) -> object:
    with archive.database.read() as session:
        return index_files.mark(session, "net", archive.settings)


def test_what_comes_and_goes_is_followed_beside_what_is_kept(any_archive: Archive) -> None:
    archive, galleries = any_archive, gallery.Galleries()
    near, far = archive.add(1, 9)
    assert archive.search(galleries) == [near, far]
    made = kept(archive)
    nearer = archive.add(0.5)[0]
    assert archive.search(galleries) == [nearer, near, far]
    archive.delete(near)
    assert archive.search(galleries) == [nearer, far]
    archive.delete(nearer)
    again = archive.add(2, 0.1)
    assert archive.search(galleries) == [again[1], again[0], far]
    assert archive.search(gallery.Galleries()) == archive.search(galleries), "as whoever opens it now finds it"
    assert kept(archive) == made is not None


def test_other_processes_see_changes_at_once(served_archive: Archive) -> None:
    archive = served_archive
    first, second = archive.add(1, 2)
    with subprocess.Popen(archive.searcher, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:

        def asked() -> str:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write("\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        assert asked() == f"1 [{first}, {second}]"
        third = archive.add(0.5)[0]
        assert asked() == f"2 [{third}, {first}, {second}]"
        archive.delete(first)
        assert asked() == f"3 [{third}, {second}]"
        index_files.rebuild(archive.database, archive.settings)
        archive.delete(third)
        assert asked() == f"4 [{second}]"
        other.stdin.close()  # type: ignore[union-attr]


def on_record(archive: Archive) -> list[int]:
    """The frames that went, as far as it is known."""
    with archive.database.read() as session:
        return list(session.scalars(select(DroppedFeature.frame_id).order_by(DroppedFeature.id)))


def test_what_went_before_an_index_was_made_leaves_the_record_but_for_the_last(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = archive.add(*range(1, 11))
    for frame_id in ids[:4]:
        archive.delete(frame_id)
    index_files.rebuild(archive.database, archive.settings)
    assert on_record(archive) == ids[:4], "so few are no burden, and others may follow from an older index"
    monkeypatch.setattr(index_files, "most_changes", lambda _: 2)
    index_files.rebuild(archive.database, archive.settings)
    assert on_record(archive) == ids[1:4]
    monkeypatch.setattr(index_files, "most_changes", lambda _: 0)
    archive.delete(ids[5])
    assert index_files.keep_up(archive.database, archive.settings, "net")
    assert on_record(archive) == ids[5:6]


def forget_all_but_the_last(archive: Archive, ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for frame_id in ids:
        archive.delete(frame_id)
    monkeypatch.setattr(index_files, "most_changes", lambda _: 0)
    index_files.rebuild(archive.database, archive.settings)
    assert on_record(archive) == ids[-1:]


def test_who_is_older_than_the_record_finds_nothing_that_was_deleted(
    served_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, galleries = served_archive, gallery.Galleries()
    ids = archive.add(*range(1, 11))
    assert archive.search(galleries) == ids[:3]
    with archive.database.read() as session:
        encoder = encoders.get(session, "net")
        forget_all_but_the_last(archive, ids[:5], monkeypatch)  # PostgreSQL shows this session that they are gone
        held = galleries.of(archive.database, session, encoder, archive.settings)
        assert held.generation == encoder.generation
    assert archive.search(galleries) == archive.search(gallery.Galleries()) == ids[5:8]


def test_a_file_that_is_older_than_the_record_is_made_anew(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = archive.add(*range(1, 11))
    assert archive.search(gallery.Galleries()) == ids[:3]
    old = archive.path.read_bytes()
    forget_all_but_the_last(archive, ids[:5], monkeypatch)
    archive.path.write_bytes(old)
    told = report.status(archive.database, archive.settings)[0]
    assert (told["state"], told["bytes"]) == ("outdated", len(old))
    assert "cannot follow" in told["reason"]
    with archive.database.read() as session:
        assert index_files.is_due(session, encoders.get(session, "net"), archive.settings)
    assert archive.search(gallery.Galleries()) == ids[5:8]
    assert report.status(archive.database, archive.settings)[0]["state"] == "current"


@pytest.mark.parametrize("damage", ["cut", "empty", "header", "body", "garbage"])
def test_a_damaged_file_is_refused_and_made_anew(archive: Archive, damage: str) -> None:
    ids = archive.add(*range(1, 600))
    assert archive.search(gallery.Galleries()) == ids[:3]
    whole = archive.path.read_bytes()
    harmed = bytearray(whole)
    harmed[30 if damage == "header" else len(whole) // 2] ^= 1
    broken = {"cut": whole[:-1], "empty": b"", "garbage": b"x" * 5000}.get(damage, bytes(harmed))
    archive.path.write_bytes(broken)
    with archive.database.read() as session, pytest.raises(BrokenFile, match=r"cut short|damaged"):
        index_files.opened(session, encoders.get(session, "net"), archive.settings)
    assert archive.search(gallery.Galleries()) == ids[:3]
    assert report.verify(archive.database, archive.settings, None)["compared"] == len(ids)


def test_what_is_kept_of_another_database_is_refused(any_archive: Archive) -> None:
    archive = any_archive
    archive.add(1, 2, 3)
    archive.held(gallery.Galleries())
    with archive.database.write() as session:  # behind everybody's back
        session.execute(features.delete(features.Feature).where(features.Feature.frame_id > 0))
    ids = archive.add(4, 5)
    assert archive.search(gallery.Galleries()) == ids


def test_what_is_kept_of_a_database_that_was_restored_is_refused(any_archive: Archive) -> None:
    archive = any_archive
    archive.add(*range(1, 3_000))
    lost = archive.add(0.5)
    archive.held(gallery.Galleries())
    with archive.database.write() as session:  # an older copy takes its place, and other images come
        session.execute(features.delete(features.Feature).where(features.Feature.frame_id == lost[0]))
        session.execute(update(Encoder).values(generation=Encoder.generation - 1))
    new = archive.add(0.25)
    assert archive.search(gallery.Galleries(), 1) == new


def test_what_was_deleted_without_a_record_is_not_found(any_archive: Archive) -> None:
    archive = any_archive
    galleries = gallery.Galleries()
    first, second = archive.add(1, 2)
    assert archive.search(galleries) == [first, second]
    with archive.database.write() as session:
        session.execute(features.delete(features.Feature).where(features.Feature.frame_id == first))
        features.forget_history(session, "net")
    assert archive.search(galleries) == [second]


def test_what_lags_far_behind_is_made_anew_beside_the_queries(
    any_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = any_archive
    monkeypatch.setattr(index_files, "BEHIND", 3)
    galleries = gallery.Galleries()
    archive.add(1, 2)
    before = archive.held(galleries).mark
    archive.add(3, 4, 5, 6)
    assert archive.held(galleries).index.changes == 4
    assert galleries._renewing is not None
    galleries._renewing.join()
    archive.add(7)
    after = archive.held(galleries)
    assert (after.mark != before, after.index.changes) == (True, 1)


def test_what_is_deleted_while_an_index_is_made_is_no_fault_of_the_index(
    stored_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, write = stored_archive, Files.write
    ids = archive.add(*range(1, 300))

    def slow(*given: object) -> None:
        write(*given)
        archive.delete(ids[-1])

    monkeypatch.setattr(Files, "write", slow)
    assert len(index_files.rebuild(archive.database, archive.settings).index) == len(ids)
    assert archive.search(gallery.Galleries(), 300) == ids[:-1]


def test_processes_that_build_at_once_leave_one_sound_index(served_archive: Archive) -> None:
    archive = served_archive
    archive.add(*range(1, 300))
    some = [
        subprocess.Popen(archive.searcher, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {process.communicate("\n\n")[0] for process in some}
    assert len(answers) == 1
    assert report.verify(archive.database, archive.settings, None)["compared"] == 299


def test_status_and_verify_tell_how_it_is(any_archive: Archive) -> None:
    archive = any_archive
    assert report.status(archive.database, archive.settings) == []
    first, _ = archive.add(1, 2)
    assert report.status(archive.database, archive.settings)[0]["state"] == "missing"
    index_files.rebuild(archive.database, archive.settings)
    told = report.status(archive.database, archive.settings)[0]
    assert (told["index"], told["state"]) == (archive.settings.index, "current")
    assert told["recall"] == (None if archive.settings.index == "exact" else 1.0)
    archive.add(3)
    archive.delete(first)
    told = report.status(archive.database, archive.settings)[0]
    assert (told["state"], told["behind"]) == ("behind", 2)
    assert report.verify(archive.database, archive.settings, None) == {
        "encoder": "net",
        "compared": 1,
        "newer": 1,
    }
    told = benchmark.measured(archive.database, archive.settings, None, 1)
    assert (told["features"], told.get("recall", 1.0)) == (2, 1.0)


def test_an_encoder_that_goes_while_it_is_asked_is_not_found_any_more(any_archive: Archive) -> None:
    archive, galleries = any_archive, gallery.Galleries()
    ids = archive.add(1, 2)
    held = archive.held(galleries)
    with archive.database.write() as session:  # as freeing does it
        session.execute(features.delete(features.Feature))
        features.forget_history(session, "net")
    index_files.drop(archive.database, archive.settings, "net")
    assert kept(archive) is None
    assert archive.search(galleries) == []
    with archive.database.write() as session:
        session.delete(encoders.get(session, "net"))
    with pytest.raises(NotFound, match="no encoder net"):
        archive.held(galleries)
    if archive.settings.index == "milvus":
        with pytest.raises(NotFound, match="has gone, or was made anew"):
            held.held(ids)
    else:
        assert held.held(ids) in (set(ids), set()), "who asks meanwhile is not disturbed"


def test_what_is_kept_is_told_apart_by_encoder_and_dimension(any_archive: Archive) -> None:
    archive = any_archive
    archive.add(1, 2)
    held = archive.held(gallery.Galleries())
    width = held.index.dimension
    with pytest.raises(EncoderMismatch, match="cannot be compared"):
        held.index.search(np.zeros((1, width + 1), np.float32), 1)
    with pytest.raises(BadRequest, match="NaN or infinity"):
        held.index.search(np.full((1, width), np.nan, np.float32), 1)
    with pytest.raises(BadRequest, match="k must be at least 1"):
        held.index.search(np.zeros((1, width), np.float32), 0)
    with archive.database.write() as session:
        encoders.get(session, "net").dimension += 1
    with archive.database.read() as session, pytest.raises(BrokenFile, match="not of features of 5 numbers"):
        index_files.opened(session, encoders.get(session, "net"), archive.settings)


def test_an_index_that_nobody_knows_is_refused_by_name(database: Database, settings: Settings) -> None:
    with pytest.raises(BadRequest, match="CBMIR_INDEX names no index: 'crystal'") as caught:
        check(database, replace(settings, index="crystal"))
    assert caught.value.remedy.startswith("Choose one of: exact, hnsw")
