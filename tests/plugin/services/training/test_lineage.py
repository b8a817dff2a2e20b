"""What an encoder has seen is carried along: to those that start from it, and to installations it is shipped to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import select

from cbmir.encoders import shipped
from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import BadRequest, NotFound, TrainingFailed
from cbmir.services.training import lineage
from cbmir.services.training.plan import plan
from cbmir.store import encoders, frames
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Instance
from cbmir.training.request import TrainingRequest
from cbmir.types import Part

Stock = Callable[..., None]
FIRST, SECOND = "1" * 64, "2" * 64
TRAIN, VALIDATION, TEST = Part


def add(
    database: Database, sha256: str, training: Mapping[str, Any], parts: Mapping[str, Part] | None = None
) -> str:
    """An encoder of this history."""
    encoder_id = f"efficientnet-lite0-{sha256[:8]}"
    with database.write() as session:
        encoders.add(
            session, id=encoder_id, architecture="efficientnet-lite0", weights_file="", weights_sha256=sha256,
            dimension=2, preprocessing={}, training=training, metrics={},
        )  # fmt: skip
        group_of = {key: group for group, key in frames.group_keys(session).items()}
        encoders.set_parts(session, encoder_id, {group_of[key]: part for key, part in (parts or {}).items()})
    return encoder_id


def after(sha256: str) -> dict[str, Any]:
    """The history of an encoder that started from another."""
    return {"start": f"efficientnet-lite0-{sha256[:8]}", "start_sha256": sha256}


def seen(database: Database, encoder_id: str) -> dict[str, Part]:
    """By the groups' keys."""
    with database.read() as session:
        keys = frames.group_keys(session)
        return {
            keys[group]: part
            for group, part in lineage.of(session, encoders.get(session, encoder_id)).parts.items()
        }


def request(start: str, seed: int = 0) -> TrainingRequest:
    return TrainingRequest.usual("efficientnet-lite0", start=start, seed=seed)


def ship(monkeypatch: pytest.MonkeyPatch, database: Database, parts: Mapping[str, Part], by: Any) -> None:
    """Let the encoder that comes with the product be one that was trained on these groups."""
    with database.read() as session:
        rows = session.execute(select(Instance.group_id, by).join(Instance.frames)).all()
        keys = frames.group_keys(session)
    pictures = [(sha256, parts[keys[group]]) for group, sha256 in rows if keys[group] in parts]
    how = shipped.description()["training"]
    split = PictureSplit.of(how["data_sha256"], how["seed"], pictures)
    monkeypatch.setattr(shipped, "split", lambda: split)


def test_what_was_trained_on_is_carried_along_the_chain(any_database: Database, stock: Stock) -> None:
    stock(any_database)
    first = {"patient-0": TRAIN, "patient-1": VALIDATION, "patient-2": TEST, "patient-3": TEST}
    second = {"patient-0": TEST, "patient-1": TEST, "patient-2": TRAIN, "patient-3": TEST, "patient-4": VALIDATION}
    add(any_database, FIRST, {"start": "photographs", "start_sha256": "0" * 64}, first)
    add(any_database, SECOND, after(FIRST), second)
    third = add(any_database, "3" * 64, after(SECOND), {"patient-5": TEST})
    assert seen(any_database, third) == {
        "patient-0": TRAIN, "patient-1": VALIDATION, "patient-2": TRAIN, "patient-3": TEST,
        "patient-4": VALIDATION, "patient-5": TEST,
    }  # fmt: skip


def test_an_encoder_in_8_bits_has_seen_what_the_first_has(database: Database, stock: Stock) -> None:
    stock(database)
    first = add(database, FIRST, {}, {"patient-0": TRAIN})
    small = add(database, SECOND, {"in_8_bits": {"from": first}})
    assert seen(database, small) == {"patient-0": TRAIN}


def test_a_network_from_elsewhere_is_not_on_record(database: Database, stock: Stock) -> None:
    stock(database)
    foreign = add(database, FIRST, {"onnx": "model.onnx"})
    trained_on = add(database, SECOND, after(FIRST), {"patient-0": TRAIN})
    with database.read() as session:
        one, other = (lineage.of(session, encoders.get(session, each)) for each in (foreign, trained_on))
    assert (one.recorded, one.inherited) == (False, False)
    assert (other.recorded, other.inherited) == (True, False)


@pytest.mark.parametrize("by", [Instance.sha256, Frame.picture], ids=["file", "picture"])
def test_the_shipped_encoder_knows_its_pictures_in_any_installation(
    any_database: Database, stock: Stock, monkeypatch: pytest.MonkeyPatch, by: Any
) -> None:
    stock(any_database)
    parts = {"patient-0": TRAIN, "patient-1": VALIDATION, "patient-2": TEST}
    ship(monkeypatch, any_database, parts, by)
    known = add(any_database, FIRST, shipped.description()["training"])
    assert seen(any_database, known) == parts
    assert seen(any_database, add(any_database, SECOND, {"start": "default", "start_sha256": FIRST})) == parts
    alone = {"start": "default"}  # of the paper's autoencoder, which starts from nothing
    assert seen(any_database, add(any_database, "3" * 64, alone)) == {}


def test_a_patient_of_whom_one_picture_was_trained_on_was_trained_on(
    database: Database, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database)
    how = shipped.description()["training"]
    one, other = (hashlib.sha256(name.encode()).hexdigest() for name in "01")  # both of patient-0
    split = PictureSplit.of(how["data_sha256"], how["seed"], [(one, TRAIN), (other, TEST)])
    monkeypatch.setattr(shipped, "split", lambda: split)
    assert seen(database, add(database, FIRST, how)) == {"patient-0": TRAIN}


def test_a_training_keeps_to_the_parts_of_what_it_starts_from(database: Database, stock: Stock) -> None:
    stock(database, patients=30)
    before = plan(database, request("photographs", seed=0))
    assert before.kept == {}
    first = add(database, FIRST, {"start": "photographs"}, before.part_of)
    after_it = plan(database, request(first, seed=1))
    assert after_it.part_of == after_it.kept == before.part_of
    assert after_it.fingerprint != plan(database, request(first, seed=2)).fingerprint
    assert plan(database, request("photographs", seed=1)).part_of != before.part_of


def test_patients_who_came_since_are_split_anew(database: Database, stock: Stock) -> None:
    stock(database, patients=30)
    parts = {f"patient-{number}": part for number, part in enumerate([TEST, VALIDATION, *[TRAIN] * 8])}
    found = plan(database, request(add(database, FIRST, {}, parts), seed=1))
    assert found.part_of.items() >= parts.items()
    new = [part for group, part in found.part_of.items() if group not in parts]
    assert (new.count(TRAIN), new.count(VALIDATION), new.count(TEST)) == (16, 2, 2)
    assert found.kept == parts


def test_other_parts_to_keep_are_another_training(database: Database, stock: Stock) -> None:
    """What was cut off must not go on with pictures that it has validated with meanwhile trained on."""
    stock(database, patients=9)
    first = add(database, FIRST, {}, {"patient-0": TEST, "patient-1": VALIDATION})
    before = plan(database, request(first))
    add(database, FIRST, {}, {"patient-0": TEST, "patient-1": TRAIN})
    assert plan(database, request(first)).fingerprint != before.fingerprint


def test_a_training_that_starts_from_the_shipped_encoder_knows_its_pictures(
    database: Database, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database, patients=12)
    parts = {f"patient-{number}": part for number, part in enumerate([*[TRAIN] * 5, VALIDATION, TEST])}
    ship(monkeypatch, database, parts, Instance.sha256)
    assert plan(database, request("default")).kept == parts
    assert plan(database, TrainingRequest("cnn-autoencoder")).kept == {}, "it starts from nothing"


@pytest.mark.parametrize("left", [0, 1])
def test_if_no_patient_is_left_it_says_so(
    database: Database, stock: Stock, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    stock(database, patients=8)
    ship(monkeypatch, database, {f"patient-{number}": TRAIN for number in range(left, 8)}, Instance.sha256)
    with pytest.raises(TrainingFailed, match=r"Of 8 patients none is left to validate with.*default") as raised:
        plan(database, request("default"))
    assert "--start photographs" in raised.value.remedy


def test_two_new_patients_are_enough(database: Database, stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    stock(database, patients=8)
    ship(monkeypatch, database, {f"patient-{number}": TRAIN for number in range(2, 8)}, Instance.sha256)
    parts = plan(database, request("default")).part_of
    assert {parts["patient-0"], parts["patient-1"]} == {VALIDATION, TEST}


def test_an_encoder_to_start_from_must_be_known(database: Database, stock: Stock) -> None:
    stock(database)
    with pytest.raises(NotFound, match="no encoder elsewhere"):
        plan(database, request("elsewhere"))


def test_an_encoder_of_another_architecture_is_no_start(database: Database, stock: Stock) -> None:
    stock(database)
    paper = f"cnn-autoencoder-{FIRST[:8]}"
    with database.write() as session:
        encoders.add(
            session, id=paper, architecture="cnn-autoencoder", weights_file="", weights_sha256=FIRST,
            dimension=2, preprocessing={}, training={}, metrics={},
        )  # fmt: skip
    with pytest.raises(BadRequest, match=f"cannot start from {paper}, which is of another arch") as raised:
        plan(database, request(paper))
    assert "`default`, `photographs`, or an eff" in raised.value.remedy
