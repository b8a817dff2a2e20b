"""A picture as it might also have been taken."""

from __future__ import annotations

import numpy as np
import pytest

from cbmir.encoders.variation import SHIFT, varied
from cbmir.types import ByteArray

SIDE = 128


def disc(grey: int, column: int) -> ByteArray:
    """On black, in the upper half."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.where((rows - 40) ** 2 + (columns - column) ** 2 < 12**2, grey, 0).astype(np.uint8)


def middle(picture: ByteArray) -> tuple[float, float]:
    """Row and column of what is brighter than the ground."""
    rows, columns = np.nonzero(picture > (int(picture.max()) + int(picture.min())) // 2)
    return float(rows.mean()), float(columns.mean())


def test_it_is_another_picture_and_always_the_same() -> None:
    picture = disc(180, 40)
    before = picture.copy()
    made = varied(picture)
    assert (made.shape, made.dtype) == (picture.shape, np.uint8)
    assert not np.array_equal(made, picture)
    np.testing.assert_array_equal(made, varied(picture))
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("column", [40, 88])
def test_left_stays_left_and_up_stays_up(column: int) -> None:
    places = np.array([middle(varied(disc(grey, column))) for grey in range(120, 220)])
    assert (np.abs(places - (40, column)) < SIDE * (SHIFT + 0.1)).all()
    assert (places.std(axis=0) > 1).all(), "each is another one"


def test_grey_values_keep_their_order() -> None:
    """Bands from dark to bright, across the whole picture, in its middle."""
    bands = np.repeat(np.arange(60, 220, 20, dtype=np.uint8), SIDE // 8)[None].repeat(SIDE, 0)
    row = varied(bands)[SIDE // 2, 20:-20].astype(int)
    assert (np.diff(row) >= -1).all()
    assert row[-1] - row[0] > 60


def test_other_shapes_are_served() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 90, 3)).astype(np.uint8)
    assert varied(np.ascontiguousarray(picture[..., 0])).shape == (40, 90)
