"""The probe that holds each label value out of the gallery."""

from __future__ import annotations

import numpy as np
import pytest

from cbmir.evaluation.detection import auroc
from cbmir.evaluation.labels import LabelSets
from cbmir.progress import Silence
from cbmir.services.evaluation.probes.unseen import unseen
from cbmir.services.evaluation.trial import Side, Trial

NAMES = ["brain", "hand", "knee"]


def trial(apart: float, names: list[str] | None = None) -> Trial:
    """Sixty patients a value in the gallery, twenty ask; values lie `apart` from one another."""
    noise = np.random.default_rng(0)
    names = names or NAMES

    def side(each: int, first: int) -> Side:
        codes = np.repeat(np.arange(len(names)), each)
        vectors = noise.normal(size=(len(codes), 4)) + apart * np.eye(4)[codes]
        ids = np.arange(first, first + len(codes))
        return Side(ids, codes, ids, vectors.astype(np.float32))

    empty = side(0, 0)
    return Trial(names, LabelSets.of(names), side(20, 1_000), side(60, 0), empty, (0, 0), "made up")


def test_what_is_not_there_is_told_where_it_lies_apart() -> None:
    found = unseen(trial(40.0), Silence())
    assert found is not None
    assert set(found["values"]) == set(NAMES)
    assert found["auroc"] == found["flagged"] == 1.0
    assert found["mistaken"] < 0.15
    assert list(found["calibration"]) == ["0.01", "0.05", "0.1", "0.2"]
    assert found["calibration"]["0.2"] < 0.35


def test_what_looks_like_the_others_is_not_told() -> None:
    found = unseen(trial(0.0), Silence())
    assert found is not None
    assert 0.35 < found["auroc"] < 0.65
    assert found["flagged"] < 0.2


def test_one_value_alone_cannot_be_held_out() -> None:
    assert unseen(trial(1.0, ["brain"]), Silence()) is None


def test_the_area_under_the_curve() -> None:
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert auroc(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == pytest.approx(0.5)
    assert auroc(np.array([1.0]), np.array([2.0, 3.0, 1.0])) == pytest.approx(0.5 / 3)
    assert auroc(np.array([]), np.array([1.0])) is None
