"""A linear probe reads off what is there, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from cbmir.evaluation.probes.linear import PENALTY, predict


def cloud(seed: int, codes: np.ndarray, shift: float) -> np.ndarray:
    features = np.random.default_rng(seed).normal(0, 1, (len(codes), 6))
    features[np.arange(len(codes)), codes] += shift
    return features.astype(np.float32)


def test_what_is_in_the_features_is_read_off() -> None:
    codes = np.arange(300) % 3
    found = predict(cloud(0, codes, 8), codes, cloud(1, codes[:60], 8), codes[:60])
    assert found is not None
    assert (found.classes, found.fitted, found.tested) == (3, 300, 60)
    assert found.accuracy == found.balanced == 1
    assert (found.chance, found.balanced_chance) == pytest.approx((1 / 3, 1 / 3))


def test_chance_is_chance() -> None:
    codes = np.arange(2000) % 2
    found = predict(cloud(0, codes, 0), codes, cloud(1, codes, 0), codes)
    assert found is not None
    assert found.balanced == pytest.approx(0.5, abs=0.05)


def test_chance_is_over_the_tested_and_that_of_balanced_over_the_fitted() -> None:
    fit, test = np.array([0] * 70 + [1] * 10 + [2] * 10 + [3] * 10), np.array([0] * 5 + [1] * 15 + [5] * 3)
    found = predict(np.zeros((100, 2), np.float32), fit, np.zeros((23, 2), np.float32), test)
    assert found is not None
    assert (found.classes, found.tested) == (4, 20), "a class that was not fitted is left out"
    assert (found.accuracy, found.balanced) == (0.25, 0.5), "without anything to go by it names the most frequent"
    assert found.chance == 0.75, "as always naming 1 would reach, which is frequent among the tested alone"
    assert found.balanced_chance == 0.25


def test_it_is_ridge_regression() -> None:
    codes = np.random.default_rng(0).integers(0, 2, 80)
    features, others = cloud(1, codes, 0.7), cloud(2, codes, 0.7)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    rows = np.concatenate([scaled, np.sqrt(PENALTY * 80) * np.eye(6)])
    target = np.where(codes == 1, 1.0, -1.0)
    weights = np.linalg.lstsq(rows, np.concatenate([target - target.mean(), np.zeros(6)]), rcond=None)[0]
    named = ((others - features.mean(axis=0)) / features.std(axis=0) @ weights + target.mean() > 0).astype(int)
    found = predict(features, codes, others, codes)
    assert found is not None
    assert found.accuracy == pytest.approx((named == codes).mean())


def test_nothing_to_tell() -> None:
    one = np.zeros((4, 2), np.float32)
    assert predict(one, np.zeros(4, np.int64), one, np.zeros(4, np.int64)) is None
    assert predict(one, np.arange(4), one, np.full(4, 9)) is None
    assert predict(one[:0], np.zeros(0, np.int64), one, np.zeros(4, np.int64)) is None
