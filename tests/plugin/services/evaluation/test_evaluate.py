"""Evaluations whose numbers can be worked out by hand: features placed on a line."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from cbmir.errors import BadRequest, EmptyGallery, JobCancelled, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.evaluation import trial
from cbmir.services.evaluation.evaluate import evaluate
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.session import Database
from cbmir.store.tables import Instance, Label
from cbmir.types import LabelOrigin, NewFrame, Part

METRICS = {"accuracy", "precision", "recall", "recall_capped", "map", "ndcg"}
SECOND, FOURTH = 1 / math.log2(3), 1 / math.log2(5)


@dataclass
class Bench:
    """A library of images at places on a line, each of a group and with a label or none."""

    database: Database
    settings: Settings
    groups: dict[str, int] = field(default_factory=dict)

    def add(self, group: str, subclass: str | None, *places: float) -> None:
        shelf = Shelf(self.settings.pictures)
        for place in places:
            name = f"{group}-{subclass}-{place}"
            pixels = np.full((8, 8), len(name), np.uint8)
            with self.database.write() as session:
                instance = instances.add(
                    session,
                    header=None,
                    file_name=f"{name}.png",
                    origin="",
                    sha256=hashlib.sha256(name.encode()).hexdigest(),
                    group_key=group,
                    frames=[NewFrame(1, shelf.put(pixels), 8, 8, "image/1")],
                    labels={"subclass": (subclass, LabelOrigin.MANIFEST)} if subclass else {},
                )
                self.groups[group] = instance.group_id
                encoder = encoders.get(session, "line")
                features.add_batch(session, encoder, [instance.frames[0].id], np.array([[place, 0]], np.float32))

    def split(self, **parts: Part) -> None:
        with self.database.write() as session:
            encoders.set_parts(session, "line", {self.groups[group]: part for group, part in parts.items()})

    def run(self, *ks: int, label: str = "subclass", **more: Any) -> dict[str, Any]:
        return evaluate(self.database, self.settings, "line", ks, label, Silence(), **more)


def empty_bench(database: Database, settings: Settings) -> Bench:
    with database.write() as session:
        encoders.add(
            session,
            id="line",
            architecture="line",
            weights_file="",
            weights_sha256="0" * 64,
            dimension=2,
            preprocessing={},
            training={},
            metrics={"history": [1]},
        )
    return Bench(database, settings)


def small_bench(database: Database, settings: Settings) -> Bench:
    """Test: one glioma at 0 and one cyst at 10. Gallery on the line: g(1) c(2) g(3) ... c(11) c(12)."""
    bench = empty_bench(database, settings)
    bench.add("asked", "glioma", 0)
    bench.add("asked", "cyst", 10)
    bench.add("one", "glioma", 1, 3)
    bench.add("two", "cyst", 2)
    bench.add("late", "cyst", 11, 12)
    bench.split(asked=Part.TEST, one=Part.TRAIN, two=Part.VALIDATION)
    return bench


@pytest.fixture
def bench(database: Database, settings: Settings) -> Bench:
    return empty_bench(database, settings)


@pytest.fixture
def small(database: Database, settings: Settings) -> Bench:
    return small_bench(database, settings)


def test_the_numbers_are_those_worked_out_by_hand(any_database: Database, settings: Settings) -> None:
    result = small_bench(any_database, settings).run(3, 1)
    assert (result["encoder"], result["label"], result["queries"], result["gallery"]) == ("line", "subclass", 2, 5)
    assert list(result["at"]) == ["1", "3"]
    # glioma at 0 retrieves g c g | cyst at 10 retrieves c c g; two gliomas and three cysts are in the gallery
    assert result["at"]["1"] == pytest.approx(
        {"accuracy": 1, "precision": 1, "recall": (1 / 2 + 1 / 3) / 2, "recall_capped": 1, "map": 1, "ndcg": 1}
    )
    expected = {"accuracy": 1, "precision": 2 / 3, "recall": (1 + 2 / 3) / 2, "recall_capped": (1 + 2 / 3) / 2}
    assert result["at"]["3"] == pytest.approx(
        {
            **expected,
            "map": ((1 + 2 / 3) / 2 + (1 + 1) / 3) / 2,
            "ndcg": (1.5 / (1 + SECOND) + (1 + SECOND) / (1.5 + SECOND)) / 2,
        }
    )
    # the whole gallery: g c g c c | c c g c g
    assert result["whole"]["micro"] == pytest.approx(
        {
            "map_all": ((1 + 2 / 3) / 2 + (1 + 1 + 3 / 4) / 3) / 2,
            "r_precision": (1 / 2 + 2 / 3) / 2,
            "ndcg_all": (1.5 / (1 + SECOND) + (1 + SECOND + FOURTH) / (1.5 + SECOND)) / 2,
            "mrr": 1,
        }
    )
    assert result["per_class"]["cyst"]["at"]["3"]["recall"] == pytest.approx(2 / 3)
    assert (result["per_class"]["glioma"]["queries"], result["per_class"]["glioma"]["gallery"]) == (1, 2)


def test_the_json_is_as_the_issue_gives_it(small: Bench) -> None:
    result = json.loads(json.dumps(small.run(1, 20)))
    assert list(result)[:4] == ["encoder", "label", "queries", "gallery"]
    assert set(result["at"]["20"]) == METRICS
    assert set(result["definitions"]) >= METRICS
    assert result["retrieved"] == {"1": 1, "20": 5}
    assert result["groups"] == {"queries": 1, "gallery": 3}
    assert set(result["macro"]["20"]) == METRICS


def test_a_test_group_is_never_in_the_gallery(bench: Bench) -> None:
    bench.add("first", "glioma", 0, 0.1, 0.2)
    bench.add("second", "glioma", 0.3, 0.4)
    bench.add("third", "cyst", 50)
    bench.add("fourth", "glioma", 99)
    bench.split(first=Part.TEST, second=Part.TEST, third=Part.TRAIN, fourth=Part.TRAIN)
    result = bench.run(1)
    assert (result["queries"], result["gallery"]) == (5, 2)
    assert result["at"]["1"]["precision"] == 0, "the nearest of other patients is a cyst"


def second_encoder(bench: Bench, turned: bool = True) -> None:
    """An encoder `other` that puts each image where `line` does, or at the mirrored place."""
    with bench.database.write() as session:
        row = encoders.get(session, "line")
        other = encoders.add(
            session, id="other", architecture="line", weights_file="", weights_sha256="1" * 64, dimension=2,
            preprocessing={}, training={}, metrics={},
        )  # fmt: skip
        ids, vectors = features.matrix(session, row.id)
        noise = np.random.default_rng(0).normal(0, 10, vectors.shape).astype(np.float32)
        features.add_batch(session, other, ids.tolist(), vectors + noise if turned else vectors)


def test_two_encoders_are_asked_the_same(bench: Bench) -> None:
    for number in range(30):
        bench.add(f"patient-{number}", ("glioma", "cyst")[number % 2], 5 * (number % 2) + number / 30)
    parts = {f"patient-{number}": Part.TEST if number < 16 else Part.TRAIN for number in range(30)}
    bench.split(**parts)
    second_encoder(bench)
    result = json.loads(json.dumps(bench.run(1, 5, against="other")))
    there = result["against"]
    assert (result["queries"], result["gallery"], there["encoder"]) == (16, 14, "other")
    assert there["at"].keys() == there["difference"]["macro"]["at"].keys() == result["at"].keys()
    found = there["difference"]["micro"]["at"]["5"]["precision"]
    assert found["difference"] == pytest.approx(result["at"]["5"]["precision"] - there["at"]["5"]["precision"])
    assert found["interval"][0] <= found["difference"] <= found["interval"][1]
    assert found["p"] < 0.05
    alone = evaluate(bench.database, bench.settings, "line", [1, 5], "subclass", Silence())
    assert (alone["at"], alone["intervals"], alone["against"]) == (result["at"], result["intervals"], None)


def test_only_groups_ask_that_neither_encoder_was_trained_on(small: Bench) -> None:
    small.add("late", "glioma", 9)
    second_encoder(small, turned=False)
    with small.database.write() as session:
        encoders.set_parts(session, "other", {small.groups["asked"]: Part.TEST, small.groups["late"]: Part.TEST})
    result = small.run(1, against="other")
    assert (result["queries"], result["gallery"], result["groups"]["gallery"]) == (2, 3, 2)
    assert result["against"]["difference"]["micro"]["at"]["1"]["map"] == {
        "difference": 0,
        "interval": None,
        "p": None,
    }
    with small.database.write() as session:
        encoders.set_parts(session, "other", {small.groups["late"]: Part.TEST})
    with pytest.raises(EmptyGallery, match="test part of both"):
        small.run(1, against="other")


def test_an_encoder_is_not_compared_with_itself_nor_with_none(small: Bench) -> None:
    with pytest.raises(BadRequest, match="itself"):
        small.run(1, against="line")
    with pytest.raises(NotFound, match="nobody"):
        small.run(1, against="nobody")


def test_intervals_are_over_patients(bench: Bench) -> None:
    for number in range(6):
        bench.add(f"asked-{number}", "glioma", number)
    bench.add("other", "glioma", 0.4)
    bench.add("another", "cyst", 4.4)
    bench.split(**{f"asked-{number}": Part.TEST for number in range(6)}, other=Part.TRAIN, another=Part.TRAIN)
    result = bench.run(1)
    assert result["at"]["1"]["precision"] == 1 / 2
    low, high = result["intervals"]["micro"]["at"]["1"]["precision"]
    assert 0 <= low < 0.25 < 0.75 < high <= 1
    assert result["per_class"]["glioma"]["groups"] == 6


def test_queries_are_told_apart_by_another_label(small: Bench) -> None:
    with small.database.write() as session:
        for name, place in (("glioma", 0), ("cyst", 10)):
            digest = hashlib.sha256(f"asked-{name}-{place}".encode()).hexdigest()
            (row,) = session.scalars(select(Instance).where(Instance.sha256 == digest))
            row.body_part = row.manufacturer = "HEAD" if name == "cyst" else None
            if name == "glioma":
                session.add(Label(instance_id=row.id, name="source", value="here", origin="manifest"))
    result = json.loads(json.dumps(small.run(3, by=["source", "size", "body_part", "manufacturer"])))
    assert result["by"]["source"]["queries_without"] == result["by"]["body_part"]["queries_without"] == 1
    assert result["by"]["size"]["values"]["8x8"]["at"] == result["at"]
    glioma, cyst = result["by"]["source"]["values"]["here"], result["by"]["body_part"]["values"]["HEAD"]
    assert (glioma["queries"], glioma["groups"], glioma["intervals"]) == (1, 1, None)
    assert glioma["at"] == result["per_class"]["glioma"]["at"]
    assert result["by"]["manufacturer"] == result["by"]["body_part"]
    assert cyst["whole"] == result["per_class"]["cyst"]["whole"]
    with pytest.raises(BadRequest, match="'colour'"):
        small.run(1, by=["colour"])


def test_an_image_may_have_several_labels(bench: Bench) -> None:
    bench.add("asked", "glioma|cyst", 0)
    bench.add("asked", "abscess", 0)
    bench.add("one", "cyst|oedema", 1)
    bench.add("two", "oedema", 2)
    bench.add("three", "glioma", 3)
    bench.split(asked=Part.TEST)
    result = bench.run(3)
    assert result["at"]["3"]["precision"] == pytest.approx(2 / 3)
    assert result["skipped"]["labels_without_relevant"] == ["abscess"]
    assert {name: row["gallery"] for name, row in result["per_class"].items()} == {"cyst": 1, "glioma": 1}


def test_what_cannot_be_judged_is_counted_and_named(small: Bench) -> None:
    small.add("asked", None, 5)
    small.add("asked", "abscess", 6)
    small.add("one", None, 0.5, 9.5)
    result = small.run(1)
    assert result["skipped"] == {
        "unlabelled_queries": 1,
        "unlabelled_gallery": 2,
        "queries_without_relevant": 1,
        "labels_without_relevant": ["abscess"],
    }
    assert (result["queries"], result["gallery"], result["at"]["1"]["precision"]) == (2, 5, 1)


def test_it_is_kept_with_the_encoder_beside_what_was_there(small: Bench) -> None:
    result = small.run(1)
    small.run(3)
    with small.database.read() as session:
        metrics = encoders.get(session, "line").metrics
    assert metrics["history"] == [1]
    assert [list(each["at"]) for each in metrics["evaluations"]] == [["1"], ["3"]]
    kept = metrics["evaluations"][0]
    assert (kept["at"], kept["per_class"]) == (result["at"], result["per_class"])
    assert kept["evaluated_at"].startswith("20")


def test_an_encoder_without_a_split_gets_one_that_repeats(bench: Bench) -> None:
    for number in range(10):
        bench.add(f"patient-{number}", ("glioma", "cyst")[number % 2], number, number + 0.5)
    first, again = bench.run(1), bench.run(1)
    assert first == again
    assert "seed 0" in first["split"]
    assert (first["queries"], first["gallery"], first["groups"]) == (2, 18, {"queries": 1, "gallery": 9})
    others = [bench.run(1, seed=seed) for seed in range(1, 6)]
    assert any(other["whole"] != first["whole"] for other in others)
    assert "seed 5" in others[-1]["split"]


def test_the_report_shows_queries_beside_their_hits(small: Bench, tmp_path: Path) -> None:
    result = small.run(1, 3, report=tmp_path / "report")
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == result
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 * (1 + 5)
    assert page.count('class="miss"') == 3 + 2
    assert ".png" not in page.replace("image/png", ""), "file names may hold a patient's name"
    assert (tmp_path / "report" / "figures" / "by_k.svg").is_file()


def test_queries_are_searched_in_blocks_and_progress_is_told(small: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    class Listener:
        def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
            assert message
            told.append((done, total))
            assert detail is None

    whole = small.run(1, 3)
    monkeypatch.setattr(trial, "AT_ONCE", 1)
    assert evaluate(small.database, small.settings, "line", [1, 3], "subclass", Listener()) == whole
    assert told == [(0, 0), (0, 2), (1, 2), (2, 2)]


def test_a_cancelled_evaluation_leaves_nothing(small: Bench) -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
            if total:
                raise JobCancelled(f"stopped at {done} {message} {detail}")

    with pytest.raises(JobCancelled):
        evaluate(small.database, small.settings, None, [1], "subclass", Stop())
    with small.database.read() as session:
        assert "evaluations" not in encoders.get(session, "line").metrics


@pytest.mark.parametrize("ks", [(), (0,), (20, -1)])
def test_numbers_that_cannot_be_are_refused(small: Bench, ks: tuple[int, ...]) -> None:
    with pytest.raises(BadRequest, match="1 or more"):
        small.run(*ks)


def test_an_unknown_label_or_encoder_is_named(small: Bench) -> None:
    with pytest.raises(BadRequest, match="'colour'"):
        small.run(1, label="colour")
    with pytest.raises(NotFound, match="nobody"):
        evaluate(small.database, small.settings, "nobody", [1], "subclass", Silence())


Arrange = Callable[[Bench], None]


def nothing(_: Bench) -> None:
    return


def only_test(bench: Bench) -> None:
    bench.add("a", "glioma", 1)
    bench.split(a=Part.TEST)


def only_training(bench: Bench) -> None:
    bench.add("a", "glioma", 1)
    bench.split(a=Part.TRAIN)


def nothing_shared(bench: Bench) -> None:
    bench.add("a", "glioma", 1)
    bench.add("b", "cyst", 1)
    bench.split(a=Part.TEST, b=Part.TRAIN)


def two_patients_without_split(bench: Bench) -> None:
    bench.add("a", "glioma", 1)
    bench.add("b", "glioma", 1)


@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        (nothing, "holds no image"),
        (only_test, "outside the test part"),
        (only_training, "test groups is labelled"),
        (nothing_shared, "shares its label"),
        (two_patients_without_split, "Only 2 groups"),
    ],
)
def test_too_little_to_evaluate_says_what_is_missing(bench: Bench, arrange: Arrange, reason: str) -> None:
    arrange(bench)
    with pytest.raises(EmptyGallery, match=reason) as error:
        bench.run(1)
    assert error.value.remedy


def test_chance_is_the_share_of_the_gallery_that_is_relevant(bench: Bench) -> None:
    """One asks for three of four, the other for one of four."""
    bench.add("first", "glioma", 1)
    bench.add("second", "cyst", 2)
    for number, label in enumerate(("glioma", "glioma", "glioma", "cyst")):
        bench.add(f"other-{number}", label, number)
    bench.split(first=Part.TEST, second=Part.TEST, **{f"other-{number}": Part.TRAIN for number in range(4)})
    assert bench.run(1)["chance"] == 0.5
