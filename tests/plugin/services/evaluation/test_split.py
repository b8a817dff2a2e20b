"""Who asks: nobody that an encoder was trained on, whatever way that came about; and the sentence says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import select

from cbmir.encoders import shipped
from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import EmptyGallery
from cbmir.services.evaluation import split
from cbmir.services.evaluation.split import Split
from cbmir.store import encoders, frames
from cbmir.store import training as library
from cbmir.store.session import Database
from cbmir.store.tables import Group, Instance
from cbmir.types import Part

TRAIN, VALIDATION, TEST = Part
FIRST, SECOND = "1" * 64, "2" * 64


class Bench:
    """A library of patients, and encoders with a history; groups are numbered."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.read() as session:
            keys = frames.group_keys(session)
        self.number_of = {group: int(key.removeprefix("patient-")) for group, key in keys.items()}
        self.group_of = {number: group for group, number in self.number_of.items()}

    def encoder(self, sha256: str, training: Mapping[str, Any], **parts: Part) -> str:
        """One whose own split had these groups (`p3`) in these parts."""
        encoder_id = f"efficientnet-lite0-{sha256[:8]}"
        with self.database.write() as session:
            encoders.add(
                session, id=encoder_id, architecture="efficientnet-lite0", weights_file="", weights_sha256=sha256,
                dimension=2, preprocessing={}, training=training, metrics={},
            )  # fmt: skip
            by_group = {self.group_of[int(name[1:])]: part for name, part in parts.items()}
            encoders.set_parts(session, encoder_id, by_group)
        return encoder_id

    def shipped(self, monkeypatch: pytest.MonkeyPatch, parts: Mapping[int, Part]) -> str:
        """The encoder that comes with the product, as if it had been trained on the pictures of these groups."""
        how = shipped.description()["training"]
        with self.database.read() as session:
            rows = session.execute(select(Instance.group_id, Instance.sha256)).all()
        held = [(sha256, parts[self.number_of[group]]) for group, sha256 in rows if self.number_of[group] in parts]
        found = PictureSplit.of(how["data_sha256"], how["seed"], held)
        monkeypatch.setattr(shipped, "split", lambda: found)
        return self.encoder("f" * 64, how)

    def split(self, *ids: str) -> Split:
        with self.database.read() as session:
            labels = [(frame.group_id, frame.label) for frame in library.frames(session)]
            return split.of(session, [encoders.get(session, id) for id in ids], labels, seed=0)

    def numbers(self, groups: Any) -> set[int]:
        return {self.number_of[group] for group in groups}


@pytest.fixture
def bench(database: Database, stock: Callable[..., None]) -> Bench:
    stock(database, patients=20)
    return Bench(database)


def test_groups_that_the_encoder_started_from_was_trained_on_ask_nothing(bench: Bench) -> None:
    bench.encoder(FIRST, {}, p0=TRAIN, p1=VALIDATION, p2=TEST, p3=TRAIN)
    after = {"start": f"efficientnet-lite0-{FIRST[:8]}", "start_sha256": FIRST}
    found = bench.split(bench.encoder(SECOND, after, p0=TEST, p1=TEST, p2=TEST, p3=TRAIN, p4=TEST))
    assert bench.numbers(found.asked) == bench.numbers(found.kept_out) == {2, 4}
    assert "none of whose groups it, or an encoder that it came from, was trained on." in found.made
    assert found.made.endswith(" 2 groups of it ask nothing, as an encoder was trained on that before.")


def test_if_all_of_the_test_part_was_trained_on_before_it_says_so(bench: Bench) -> None:
    bench.encoder(FIRST, {}, p0=TRAIN, p1=TRAIN)
    second = bench.encoder(SECOND, {"start": "x", "start_sha256": FIRST}, p0=TEST, p1=TEST, p2=TRAIN)
    with pytest.raises(EmptyGallery, match="All 2 groups") as raised:
        bench.split(second)
    assert "Train anew" in raised.value.remedy


def test_an_encoder_that_started_from_none_says_that_alone(bench: Bench) -> None:
    found = bench.split(bench.encoder(FIRST, {}, p0=TEST, p1=TRAIN))
    assert found.made == "The test part of the encoder's own split, none of whose groups it was trained on."


def test_files_whose_patient_nothing_tells_are_counted(bench: Bench) -> None:
    with bench.database.write() as session:
        for number in (3, 4):
            session.get_one(Group, bench.group_of[number]).key = f"file-{number}"
    found = bench.split(bench.encoder(FIRST, {}, p0=TEST, p1=TRAIN))
    assert " 2 groups are single files whose patient nothing tells: " in found.made


def test_the_shipped_encoder_is_asked_by_none_of_its_pictures(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on = dict.fromkeys(range(2, 10), TRAIN) | {1: VALIDATION}
    found = bench.split(bench.shipped(monkeypatch, {0: TEST, **trained_on}))
    asked = bench.numbers(found.asked)
    assert 0 in asked
    assert len(asked) == 2, "its own test group, and one in ten of the others"
    assert not asked & trained_on.keys()
    assert (
        " 10 groups hold pictures of the encoder's training. Those of its training and validation part ask nothing "
        "(9); those of its test part ask (1)." in found.made
    )


def test_where_it_knows_no_picture_it_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = bench.split(bench.shipped(monkeypatch, {}))
    foreign = bench.split(bench.encoder(FIRST, {"onnx": "model"}))
    assert found.asked == foreign.asked
    assert found.made.endswith("None holds a picture that it was trained on.")
    assert foreign.made.endswith("What efficientnet-lite0-11111111 was trained on is not on record.")


def test_on_nothing_but_its_own_pictures_there_is_nobody_to_ask(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder_id = bench.shipped(monkeypatch, dict.fromkeys(range(20), TRAIN))
    with pytest.raises(EmptyGallery, match="all 20 groups") as raised:
        bench.split(encoder_id)
    assert "Ingest" in raised.value.remedy


def test_of_two_encoders_neither_was_trained_on_who_asks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own one and the shipped one; then the shipped one and one of which nothing is known."""
    default = bench.shipped(monkeypatch, {0: TRAIN, 1: VALIDATION, 2: TEST, 3: TEST})
    own = bench.encoder(FIRST, {}, p0=TEST, p1=TEST, p2=TEST, p3=TRAIN, p4=TEST, p5=TRAIN)
    for ids in ((own, default), (default, own)):
        found = bench.split(*ids)
        assert bench.numbers(found.asked) == {2, 4}
        assert bench.numbers(found.kept_out) == {0, 1, 2, 3, 4}, (
            "in the test part of one alone: not searched either"
        )
        assert "2 groups of it ask nothing" in found.made
    foreign = bench.encoder(SECOND, {})
    found = bench.split(default, foreign)
    assert not bench.numbers(found.asked) & {0, 1}
    assert "ask nothing (2); those of its test part ask (2)." in found.made
    assert f"What {foreign} was trained on is not on record." in found.made


def test_of_two_encoders_the_trainings_before_count_too(bench: Bench) -> None:
    bench.encoder(FIRST, {}, p0=TRAIN, p1=TEST)
    second = bench.encoder(SECOND, {"start": "x", "start_sha256": FIRST}, p0=TEST, p1=TEST, p2=TEST)
    other = bench.encoder("3" * 64, {}, p0=TEST, p1=TEST, p3=TEST)
    found = bench.split(second, other)
    assert bench.numbers(found.asked) == {1}
    assert {2, 3} <= bench.numbers(found.kept_out)
