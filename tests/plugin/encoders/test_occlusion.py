"""What drives a similarity, found with encoders whose answer is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from cbmir.encoders.occlusion import AT_ONCE, CELLS, COPIES, blurred, distances, drive
from cbmir.evaluation.deletion import Deleted, deletion
from cbmir.types import FloatArray

SIDE = 64


def corner(inputs: FloatArray) -> FloatArray:
    """An encoder that looks at the upper left sixteenth alone."""
    part = inputs[:, :, : SIDE // 4, : SIDE // 4]
    return np.stack([part.mean((1, 2, 3)), part.std((1, 2, 3))], axis=1).astype(np.float32)


@pytest.fixture
def picture() -> FloatArray:
    noise = np.random.default_rng(0)
    return (noise.random((1, SIDE, SIDE)) > 0.5).astype(np.float32)


def test_the_map_is_where_the_encoder_looks(picture: FloatArray) -> None:
    found = drive(corner, picture, corner(picture[np.newaxis])[0])
    assert found.shape == (CELLS, CELLS)
    assert found.dtype == np.float32
    assert (found[:4, :4] > 0).all(), "to cover it makes the picture less like itself"
    elsewhere = np.concatenate([found[6:].ravel(), found[:6, 6:].ravel()])
    assert found[:4, :4].mean() > 10 * np.abs(elsewhere).mean()


def test_what_sets_two_apart_is_below_zero(picture: FloatArray) -> None:
    marked = picture.copy()
    marked[:, :8, :8] = 1
    found = drive(corner, marked, corner(blurred(marked)[np.newaxis])[0])
    assert found[:4, :4].min() < 0


def test_the_cost_is_bounded_whatever_the_size() -> None:
    asked: list[int] = []

    def count(inputs: FloatArray) -> FloatArray:
        asked.append(inputs.size)
        return inputs.reshape(len(inputs), -1)[:, :2]

    for side in (16, 100, 224):
        asked.clear()
        drive(count, np.zeros((3, side, side), np.float32), np.zeros(2, np.float32))
        assert sum(asked) == COPIES * 3 * side * side
        assert max(asked) <= AT_ONCE


def test_a_cover_is_the_blur_within_and_nothing_without(picture: FloatArray) -> None:
    seen: list[FloatArray] = []

    def see(inputs: FloatArray) -> FloatArray:
        seen.append(inputs[0])
        return inputs[:, 0, :1, 0]

    upper = np.zeros((1, CELLS, CELLS), np.float32)
    upper[:, : CELLS // 2] = 1
    distances(see, picture, np.zeros(1, np.float32), upper)
    middle, soft = SIDE // 2, SIDE // CELLS
    np.testing.assert_allclose(seen[0][:, : middle - soft], blurred(picture)[:, : middle - soft], atol=1e-6)
    np.testing.assert_array_equal(seen[0][:, middle + soft :], picture[:, middle + soft :])


def test_the_same_map_each_time(picture: FloatArray) -> None:
    other = corner(picture[np.newaxis])[0]
    np.testing.assert_array_equal(drive(corner, picture, other), drive(corner, picture, other))


def test_the_deletion_test_knows_a_true_map_from_a_false_one(picture: FloatArray) -> None:
    other = corner(picture[np.newaxis])[0] + np.float32(0.01)
    far, found = partial(distances, corner, picture, other), drive(corner, picture, other)
    true, false = deletion(far, found), deletion(far, -found)
    assert true.holds
    assert true.by_map > true.by_chance > true.by_map_reversed
    assert not false.holds
    assert not Deleted(by_map=0.54, by_chance=0.5, by_map_reversed=0.1).holds, "as far as one can tell, the same"
    assert "Do not go by it" in false.said
