"""What drives a similarity, found with encoders whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cbmir.encoders.occlusion import CELLS, blurred, drive, edges
from cbmir.evaluation.deletion import Order, deletion
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
    assert not found[6:, :].any()
    assert not found[:, 6:].any()


def test_what_sets_two_apart_is_below_zero(picture: FloatArray) -> None:
    marked = picture.copy()
    marked[:, :8, :8] = 1
    found = drive(corner, marked, corner(blurred(marked)[np.newaxis])[0])
    assert found[:4, :4].min() < 0


def test_the_cost_is_bounded_whatever_the_size() -> None:
    asked: list[int] = []

    def count(inputs: FloatArray) -> FloatArray:
        asked.append(len(inputs))
        return inputs.reshape(len(inputs), -1)[:, :2]

    for side in (16, 100, 224):
        asked.clear()
        drive(count, np.zeros((3, side, side), np.float32), np.zeros(2, np.float32))
        assert sum(asked) == 1 + CELLS * CELLS
        assert max(asked) <= 64


def test_every_pixel_is_in_one_cell() -> None:
    for side in (16, 33, 224):
        bounds = edges(side)
        assert (bounds[0], bounds[-1], len(bounds)) == (0, side, CELLS + 1)
        assert all(after > before for before, after in pairwise(bounds))


def test_the_deletion_test_knows_a_true_map_from_a_false_one(picture: FloatArray) -> None:
    hidden, bounds = blurred(picture), edges(SIDE)

    def delete(order: Order) -> FloatArray:
        copy = picture.copy()
        for cell in order.tolist():
            row, column = divmod(cell, CELLS)
            part = np.s_[:, bounds[row] : bounds[row + 1], bounds[column] : bounds[column + 1]]
            copy[part] = hidden[part]
        return corner(copy[np.newaxis])[0]

    other = corner(picture[np.newaxis])[0] + np.float32(0.01)
    true = deletion(delete, drive(corner, picture, other), other)
    false = deletion(delete, -drive(corner, picture, other), other)
    assert true.by_map > true.by_chance > true.by_map_reversed
    assert false.by_map < false.by_chance
