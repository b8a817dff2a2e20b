"""Features come back bit for bit, once each, in the order of their frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import select, update

from cbmir.errors import EncoderMismatch, NotFound
from cbmir.store import features, instances
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Feature, Frame, Instance
from cbmir.types import FloatArray

EXTREMES = np.array(
    [[0.0, -0.0, 1e-45, -1.1754944e-38], [3.4028235e38, -3.4028235e38, 0.1, 1 / 3], [1, 2, 3, 4]], np.float32
)


class Archive:
    """Three frames in two instances, and an encoder of four numbers."""

    def __init__(self, database: Database, new_instance: Callable[..., Instance], encoder: Encoder) -> None:
        with database.write() as session:
            self.first = new_instance(session, "a", group="p-1", labels={"subclass": "x"}, frames=2)
            self.second = new_instance(session, "b", group="p-2", labels={"subclass": "y"})
        self.frame_ids = [frame.id for frame in (*self.first.frames, *self.second.frames)]
        self.database, self.encoder = database, encoder

    def add(self, frame_ids: list[int], vectors: FloatArray) -> int:
        with self.database.write() as session:
            return features.add_batch(session, self.encoder, frame_ids, vectors)

    @property
    def generation(self) -> int:
        with self.database.read() as session:
            return session.get_one(Encoder, self.encoder.id).generation


@pytest.fixture
def archive(
    any_database: Database, new_instance: Callable[..., Instance], new_encoder: Callable[..., Encoder]
) -> Archive:
    with any_database.write() as session:
        encoder = new_encoder(session)
    return Archive(any_database, new_instance, encoder)


@pytest.fixture
def small_archive(
    database: Database, new_instance: Callable[..., Instance], new_encoder: Callable[..., Encoder]
) -> Archive:
    with database.write() as session:
        encoder = new_encoder(session)
    return Archive(database, new_instance, encoder)


def test_vectors_come_back_bit_for_bit_by_frame(archive: Archive) -> None:
    assert archive.add(archive.frame_ids[::-1], EXTREMES[::-1]) == 3
    with archive.database.read() as session:
        frame_ids, vectors = features.matrix(session, archive.encoder.id)
    assert (frame_ids.dtype, vectors.dtype, vectors.shape) == (np.int64, np.float32, (3, 4))
    assert frame_ids.tolist() == archive.frame_ids
    assert vectors.tobytes() == EXTREMES.tobytes()


def test_the_stored_bytes_are_little_endian_float32(archive: Archive) -> None:
    archive.add(archive.frame_ids[:1], np.array([[1, 2, 3, 4]], ">f4").astype(np.float32))
    with archive.database.read() as session:
        assert session.scalars(select(Feature.vector)).one() == np.array([1, 2, 3, 4], "<f4").tobytes()


def test_a_stored_feature_stays_and_only_a_new_one_counts(archive: Archive) -> None:
    first, second, third = archive.frame_ids
    assert archive.generation == 0
    assert archive.add([first, second], EXTREMES[:2]) == 2
    assert archive.generation == 1
    assert archive.add([first, second], EXTREMES[1:]) == 0
    assert archive.generation == 1
    assert archive.add([second, third], EXTREMES[1:]) == 1
    assert archive.generation == 2
    with archive.database.read() as session:
        assert features.matrix(session, archive.encoder.id)[1].tobytes() == EXTREMES.tobytes()
        assert features.count(session, archive.encoder.id) == 3


def test_features_know_the_conversion_of_the_frames_they_were_made_of(archive: Archive) -> None:
    archive.add(archive.frame_ids[:2], EXTREMES[:2])
    with archive.database.write() as session:
        session.execute(update(Frame).values(pipeline="test/2"))
    archive.add(archive.frame_ids, EXTREMES)
    with archive.database.read() as session:
        assert features.pipelines(session, archive.encoder.id) == {"test/1": 2, "test/2": 1}
        assert features.pipelines(session, "another") == {}
        old = features.frame_ids_made_by(session, archive.encoder.id, ["test/1", "test/0"])
        assert (old.dtype, old.tolist()) == (np.int64, archive.frame_ids[:2])
        assert features.frame_ids_made_by(session, archive.encoder.id, []).tolist() == []


def test_an_empty_batch_changes_nothing(archive: Archive) -> None:
    assert archive.add([], np.empty((0, 4), np.float32)) == 0
    assert archive.generation == 0


def test_a_frame_deleted_meanwhile_is_passed_over(archive: Archive) -> None:
    with archive.database.write() as session:
        instances.delete(session, session.get_one(Instance, archive.second.id))
    assert archive.add(archive.frame_ids, EXTREMES) == 2


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (2, 4), (3, 4, 1), (12,)])
def test_another_shape_is_refused(small_archive: Archive, shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderMismatch, match="4 numbers"):
        small_archive.add(small_archive.frame_ids, np.zeros(shape, np.float32))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_frame(small_archive: Archive, number: float) -> None:
    vectors = EXTREMES.copy()
    vectors[1, 2] = number
    with pytest.raises(EncoderMismatch, match=f"frame {small_archive.frame_ids[1]} "):
        small_archive.add(small_archive.frame_ids, vectors)
    with small_archive.database.read() as session:
        assert features.count(session, small_archive.encoder.id) == 0


def test_missing_frames_are_handed_out_in_pieces(archive: Archive) -> None:
    first, second, third = archive.frame_ids
    archive.add([second], EXTREMES[:1])
    encoder_id = archive.encoder.id
    with archive.database.read() as session:
        assert features.missing_frames(session, encoder_id, after=0, limit=1) == [
            (first, archive.first.frames[0].picture)
        ]
        assert [row[0] for row in features.missing_frames(session, encoder_id, after=0, limit=9)] == [first, third]
        assert [row[0] for row in features.missing_frames(session, encoder_id, after=first, limit=9)] == [third]
        assert features.missing_frames(session, encoder_id, after=third, limit=9) == []
        assert features.count_missing(session, encoder_id) == 2
        assert features.newest_frame(session, encoder_id) == second
        assert features.newest_frame(session, "another") == 0


def test_encoders_do_not_see_each_other(archive: Archive, new_encoder: Callable[..., Encoder]) -> None:
    archive.add(archive.frame_ids, EXTREMES)
    with archive.database.write() as session:
        other = new_encoder(session, "net-2", dimension=2)
        assert features.count_missing(session, other.id) == 3
        features.add_batch(session, other, archive.frame_ids[:1], np.ones((1, 2), np.float32))
    with archive.database.read() as session:
        frame_ids, vectors = features.matrix(session, other.id)
        assert (frame_ids.tolist(), vectors.tolist()) == (archive.frame_ids[:1], [[1, 1]])
        assert features.matrix(session, archive.encoder.id)[1].shape == (3, 4)


def test_an_encoder_without_features_gives_an_empty_matrix(archive: Archive) -> None:
    with archive.database.read() as session:
        frame_ids, vectors = features.matrix(session, archive.encoder.id)
    assert (frame_ids.shape, vectors.shape) == ((0,), (0, 4))


def test_an_unknown_encoder(archive: Archive) -> None:
    with archive.database.read() as session, pytest.raises(NotFound, match="net-9"):
        features.matrix(session, "net-9")


def test_a_damaged_vector_is_noticed(archive: Archive) -> None:
    with archive.database.write() as session:
        session.add(Feature(encoder_id=archive.encoder.id, frame_id=archive.frame_ids[0], vector=b"\0" * 12))
    with archive.database.read() as session, pytest.raises(EncoderMismatch, match="net-1"):
        features.matrix(session, archive.encoder.id)
