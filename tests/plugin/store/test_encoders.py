"""Encoders: added, chosen, with their split and their evaluations, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cbmir.errors import EncoderMismatch, NotFound
from cbmir.store import encoders, features, instances
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Instance
from cbmir.types import Part

Make = Callable[..., Encoder]


def test_an_encoder_comes_back_as_it_was_added(any_database: Database, new_encoder: Make) -> None:
    with any_database.write() as session:
        new_encoder(session, "net-1", dimension=48)
    with any_database.read() as session:
        row = encoders.get(session, "net-1")
    assert (row.dimension, row.generation, row.preprocessing) == (48, 0, {"side": 64, "channels": 1})
    assert row.created_at.tzinfo is not None


def test_unknown_ids_are_named(any_database: Database) -> None:
    with any_database.write() as session:
        for ask in (
            lambda: encoders.get(session, "net-9"),
            lambda: encoders.resolve(session, "net-9"),
            lambda: encoders.record_evaluation(session, "net-9", {}),
        ):
            with pytest.raises(NotFound, match="net-9"):
                ask()


def test_without_an_id_the_active_one_is_chosen(
    any_database: Database, new_encoder: Make, new_instance: Callable[..., Instance]
) -> None:
    with any_database.write() as session:
        with pytest.raises(NotFound, match="no encoder yet") as caught:
            encoders.resolve(session, None)
        assert "cbmir train" in caught.value.remedy
        first, second = new_encoder(session, "net-1"), new_encoder(session, "net-2")
        assert encoders.resolve(session, None) is second, "the first had no features: nothing answered yet"
        frame = new_instance(session, "a").frames[0]
        features.add_batch(session, second, [frame.id], np.ones((1, 4), np.float32))
        third = new_encoder(session, "net-3")
        features.add_batch(session, third, [frame.id], np.ones((1, 4), np.float32))
        assert encoders.resolve(session, None) is second, "a later one stands beside it until it is switched to"
        assert encoders.resolve(session, "net-1") is first
        assert encoders.listing(session) == [third, second, first]
        assert encoders.kept(session) == [second, first, third]


def test_the_same_weights_again_bring_the_row_up_to_date(any_database: Database, new_encoder: Make) -> None:
    with any_database.write() as session:
        new_encoder(session, "net-1", weights_file="")
        encoders.record_evaluation(session, "net-1", {"k": 20})
        row = new_encoder(session, "net-1", metrics={"best_epoch": 9})
        assert (row.weights_file, row.metrics) == (
            "net-1.safetensors",
            {"best_epoch": 9, "evaluations": [{"k": 20}]},
        )
        assert new_encoder(session, "net-1", weights_file="").weights_file == "net-1.safetensors"


@pytest.mark.parametrize("other", [{"weights_sha256": "f" * 64}, {"dimension": 5}])
def test_an_id_that_other_weights_have_is_refused(
    any_database: Database, new_encoder: Make, other: dict[str, object]
) -> None:
    with any_database.write() as session:
        new_encoder(session, "net-1")
    with pytest.raises(EncoderMismatch, match="net-1"), any_database.write() as session:
        new_encoder(session, "net-1", **other)


def test_evaluations_are_appended(any_database: Database, new_encoder: Make) -> None:
    for k in (20, 40):
        with any_database.write() as session:
            new_encoder(session, "net-1")
            encoders.record_evaluation(session, "net-1", {"k": k})
    with any_database.read() as session:
        metrics = encoders.get(session, "net-1").metrics
    assert metrics == {"best_epoch": 3, "evaluations": [{"k": 20}, {"k": 40}]}


def test_the_split_is_kept_and_replaced(any_database: Database, new_encoder: Make) -> None:
    with any_database.write() as session:
        new_encoder(session, "net-1")
        first, second, third = (instances.group_id(session, key) for key in ("p-1", "p-2", "p-3"))
        encoders.set_parts(session, "net-1", {first: Part.TRAIN, second: Part.TRAIN})
    with any_database.write() as session:
        encoders.set_parts(session, "net-1", {first: Part.TEST, third: Part.VALIDATION})
    with any_database.write() as session:
        assert encoders.parts(session, "net-1") == {first: Part.TEST, third: Part.VALIDATION}
        assert encoders.parts(session, "net-2") == {}
        encoders.set_parts(session, "net-1", {})
        assert encoders.parts(session, "net-1") == {}
