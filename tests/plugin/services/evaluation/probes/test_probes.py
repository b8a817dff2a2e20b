"""Probes of trials whose answers can be worked out by hand: features on a line, pictures drawn for the purpose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbmir.errors import BadRequest
from cbmir.evaluation.definitions import PROBES
from cbmir.evaluation.labels import LabelSets
from cbmir.evaluation.scores import Table
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.evaluation.probes.border import masked, without_border
from cbmir.services.evaluation.probes.leakage import duplicates, leakage, predictability
from cbmir.services.evaluation.probes.probe import checked
from cbmir.services.evaluation.trial import Side, Trial, run

Row = tuple[int, int, int, float]


def side(*rows: Row) -> Side:
    """From (frame id, code, group, place)."""
    ids, codes, groups, places = zip(*rows, strict=True)
    vectors = np.array([[place, 0] for place in places], np.float32)
    return Side(np.array(ids), np.array(codes), np.array(groups), vectors)


def trial(queries: Sequence[Row], gallery: Sequence[Row]) -> Trial:
    asked = side(*queries)
    return Trial(
        ["ape", "bat"],
        LabelSets.of(["ape", "bat"]),
        asked,
        side(*gallery),
        asked.where(asked.codes < 0),
        (0, 0),
        "",
    )


SMALL = trial(
    [(1, 0, 7, 0.0), (2, 0, 7, 0.5), (3, 1, 8, 10.0)],
    [(4, 1, 1, 1.0), (5, 0, 2, 2.0), (6, 0, 3, 11.0), (9, 1, 3, 12.0)],
)


def table(given: Trial, *ks: int) -> Table:
    return Table.of(run(given, max(ks), Silence()), ks, given.queries.groups)


def test_leakage_is_what_the_own_patients_images_add() -> None:
    honest = table(SMALL, 1, 2).nested(table(SMALL, 1, 2).values.mean(axis=0))["at"]
    found = leakage(SMALL, [1, 2])
    assert honest["1"]["precision"] == 0
    assert found["queries"] == 2
    assert found["at"]["1"]["precision"] == pytest.approx(2 / 3), "the third has no other image of its patient"
    assert found["at"]["2"]["precision"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 2) / 3)
    assert found["at"]["2"]["recall"] == pytest.approx((1 / 3 + 1 / 3 + 1 / 2) / 3)


def test_without_other_images_nothing_leaks() -> None:
    alone = trial([(1, 0, 7, 0.0), (3, 1, 8, 10.0)], [(4, 1, 1, 1.0), (5, 0, 2, 2.0)])
    measured = table(alone, 1, 5)
    assert leakage(alone, [1, 5]) == {"queries": 0, "at": measured.nested(measured.values.mean(axis=0))["at"]}


def drawn(seed: int) -> np.ndarray:
    return np.kron(np.random.default_rng(seed).integers(0, 255, (8, 9), dtype=np.uint8), np.ones((4, 4), np.uint8))


def test_near_duplicates_are_counted_and_left_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    darker = (drawn(1) // 2).astype(np.uint8)
    pictures = {1: drawn(1), 2: drawn(2), 3: drawn(3), 4: darker, 5: drawn(2), 6: np.zeros((9, 9), np.uint8)}
    keys = {frame_id: shelf.put(pixels) for frame_id, pixels in pictures.items()}
    measured = table(SMALL, 1)
    found = duplicates(SMALL, measured, keys, shelf, Silence())
    assert (found["queries"], found["candidates"], found["pairs"], found["pairs_of_other_label"]) == (2, 2, 2, 1)
    assert (found["flat"], found["unreadable"], found["left"]) == (1, 1, 1)
    assert found["at"]["1"]["precision"] == measured.values[2, measured.columns.index(("1", "precision"))]
    copies = duplicates(SMALL, measured, dict.fromkeys(range(1, 7), keys[1]), shelf, Silence())
    assert (copies["pairs"], copies["left"], copies["at"]) == (9, 0, None)


def test_the_source_is_read_off_the_features() -> None:
    asked = [(n, 0, n, float(n % 2)) for n in range(1, 21)]
    given = trial(asked, [(n + 100, 0, n + 100, n % 2 + n / 1000) for n in range(1, 21)])
    named = ["north" if n % 2 else "south" for n in range(1, 21)]
    found = predictability(given, named, [*named[:-1], None])
    assert found is not None
    assert (found["accuracy"], found["tested"], found["classes"]) == (1, 19, 2)
    assert predictability(given, ["north"] * 20, named) is None
    assert predictability(given, [None] * 20, named) is None


class Mean:
    """An encoder whose feature is the mean of the picture, twice."""

    class preprocessing:
        @staticmethod
        def apply(pixels: np.ndarray) -> np.ndarray:
            return pixels.astype(np.float32)[None]

    def encode(self, inputs: np.ndarray) -> np.ndarray:
        return np.repeat(inputs.mean(axis=(1, 2, 3))[:, None], 2, axis=1).astype(np.float32)


def test_without_its_border_a_marker_in_the_corner_is_blind(tmp_path: Path) -> None:
    shelf, keys = Shelf(tmp_path), {}
    for frame_id in (1, 2, 3, 4, 5, 6):
        picture = np.full((20, 20), 10 + frame_id, np.uint8)
        picture[0, 0] = 255
        keys[frame_id] = shelf.put(picture)
    encoder: Any = Mean()
    found = without_border(SMALL, [1], keys, shelf, encoder, Silence())
    assert (found["queries"], found["gallery"], found["unreadable"], found["share"]) == (3, 3, 1, 0.1)
    assert found["at"]["1"]["precision"] == pytest.approx(1 / 3), (
        "the darkest of the gallery, a bat, is nearest to all"
    )
    nothing = without_border(SMALL, [1], {}, shelf, encoder, Silence())
    assert (nothing["queries"], nothing["unreadable"], nothing["at"]) == (0, 7, None)


def test_a_tenth_at_each_side_is_black() -> None:
    black = masked(np.full((20, 30, 3), 9, np.uint8))
    assert black[2:18, 3:27].min() == 9
    assert black.sum() == 9 * 16 * 24 * 3
    assert masked(np.full((3, 3), 9, np.uint8)).min() == 9, "too small to have a border"


def test_an_unknown_probe_is_named() -> None:
    assert checked(["border", "leakage"]) == ["leakage", "border"]
    assert checked(["all"]) == list(PROBES)
    with pytest.raises(BadRequest, match="'magic'"):
        checked(["magic"])
