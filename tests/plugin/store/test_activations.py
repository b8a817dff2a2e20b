"""Which encoder answers, and how the features of another are freed; on both databases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import delete

from cbmir.errors import EmptyGallery, EncoderNotReady, NotFound
from cbmir.store import activations, calibrations, encoders, features, queries
from cbmir.store.calibrations import Stored
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Instance

Make = Callable[..., Encoder]
ONE = np.ones((1, 4), np.float32)


def test_a_switch_and_the_way_back(any_database: Database, new_encoder: Make) -> None:
    with any_database.write() as session:
        assert activations.active(session) is activations.previous(session) is None
        for name in ("net-1", "net-2", "net-3"):
            new_encoder(session, name)
        for name in ("net-1", "net-2"):
            assert activations.activate(session, name)
        assert not activations.activate(session, "net-2"), "it answers already"
    for now, before in (("net-2", "net-1"), ("net-1", "net-2"), ("net-2", "net-1")):
        with any_database.write() as session:
            active, previous = activations.active(session), activations.previous(session)
            assert active is not None
            assert previous is not None
            assert (active.id, previous.id) == (now, before)
            activations.activate(session, before)


def test_an_encoder_that_is_deleted_gives_way_to_the_one_before(any_database: Database, new_encoder: Make) -> None:
    with any_database.write() as session:
        for name in ("net-1", "net-2"):
            new_encoder(session, name)
        session.execute(delete(Encoder).where(Encoder.id == "net-2"))
        assert encoders.resolve(session, None).id == "net-1"
        assert activations.previous(session) is None


def test_where_no_image_is_images_are_asked_for(any_database: Database, new_encoder: Make) -> None:
    with any_database.write() as session:
        encoder = new_encoder(session)
        encoders.set_kept(session, encoder.id, False)
        with pytest.raises(EmptyGallery, match="no image yet"):
            encoders.usable(session, encoder.id)


def test_features_that_are_not_wanted_are_not_taken(
    any_database: Database, new_encoder: Make, new_instance: Callable[..., Instance]
) -> None:
    with any_database.write() as session:
        encoder, frame = new_encoder(session), new_instance(session, "a").frames[0]
        encoders.set_kept(session, encoder.id, False)
    with pytest.raises(EncoderNotReady, match="no longer wanted"), any_database.write() as session:
        features.add_batch(session, encoder, [frame.id], ONE)
    with any_database.read() as session:
        assert features.count(session, encoder.id) == 0
        with pytest.raises(EncoderNotReady, match=r"were freed|No image has a feature"):
            encoders.usable(session, encoder.id)
    with pytest.raises(NotFound, match="net-9"), any_database.write() as session:
        encoders.set_kept(session, "net-9", True)


def test_features_go_in_pieces_and_only_those_of_one_encoder(
    any_database: Database, new_encoder: Make, new_instance: Callable[..., Instance]
) -> None:
    with any_database.write() as session:
        frames = [frame.id for frame in new_instance(session, "a", frames=5).frames]
        for name in ("net-1", "net-2"):
            features.add_batch(session, new_encoder(session, name), frames, np.ones((5, 4), np.float32))
    with pytest.raises(EncoderNotReady, match="wanted again"), any_database.write() as session:
        features.free(session, "net-2", 2)
    with any_database.write() as session:
        encoders.set_kept(session, "net-2", False)
        before = encoders.get(session, "net-2").generation
        assert [features.free(session, "net-2", 2) for _ in range(4)] == [2, 2, 1, 0]
    with any_database.read() as session:
        assert encoders.get(session, "net-2").generation > before, "a cached index must notice"
        assert (features.count(session, "net-1"), features.count(session, "net-2")) == (5, 0)


def test_what_one_encoder_lacks_of_what_another_has(
    any_database: Database, new_encoder: Make, new_instance: Callable[..., Instance]
) -> None:
    with any_database.write() as session:
        frames = [frame.id for frame in new_instance(session, "a", frames=3).frames]
        old, new = new_encoder(session, "net-1"), new_encoder(session, "net-2")
        features.add_batch(session, old, frames[:2], np.ones((2, 4), np.float32))
        features.add_batch(session, new, frames[1:], np.ones((2, 4), np.float32))
        assert features.count_lacking(session, new.id, old.id) == 1
        features.add_batch(session, new, frames, np.ones((3, 4), np.float32))
        assert features.count_lacking(session, new.id, old.id) == 0


def test_a_calibration_is_replaced_and_goes_with_its_encoder(any_database: Database, new_encoder: Make) -> None:
    scores = np.array([0.5, 1.0, 1.5], np.float32)
    with any_database.write() as session:
        new_encoder(session, "net-1")
        calibrations.save(session, "net-1", Stored(1, 10, "a", scores))
        calibrations.save(session, "net-1", Stored(2, 11, "b", scores * 2))
    with any_database.write() as session:
        assert calibrations.get(session, "net-1", "a") is None, "scores of two methods are never compared"
        stored = calibrations.get(session, "net-1", "b")
        assert stored is not None
        assert (stored.generation, stored.features, stored.scores.tolist()) == (2, 11, [1.0, 2.0, 3.0])
        session.execute(delete(Encoder).where(Encoder.id == "net-1"))
    with any_database.read() as session:
        assert calibrations.get(session, "net-1", "b") is None


def test_an_answer_of_an_encoder_that_was_deleted_meanwhile_is_refused(any_database: Database) -> None:
    with pytest.raises(NotFound, match="net-9"), any_database.write() as session:
        queries.save(session, job_id="1", encoder_id="net-9", picture="", frame_id=None, k=1, where={}, hits=[])
