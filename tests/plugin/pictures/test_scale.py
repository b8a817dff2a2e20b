"""Bytes and smaller pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.pictures.scale import shrink, to_bytes, without_colour


def test_rounding_clipping_and_nan() -> None:
    values = np.array([0, 0.4 / 255, 0.6 / 255, 1, 1.5, -3, np.nan, np.inf], np.float32)
    assert to_bytes(values).tolist() == [0, 0, 1, 255, 255, 0, 0, 255]


@settings(deadline=None)
@given(st.integers(0, 255))
def test_every_level_survives(level: int) -> None:
    assert to_bytes(np.array([level / 255], np.float32))[0] == level


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60), st.booleans())
def test_the_longer_side_fits_and_the_aspect_stays(rows: int, columns: int, side: int, colour: bool) -> None:
    small = shrink(np.full((rows, columns, 3) if colour else (rows, columns), 77, np.uint8), side)
    assert max(small.shape[:2]) == min(side, max(rows, columns))
    assert (small == 77).all()
    scale = max(small.shape[:2]) / max(rows, columns)
    assert abs(small.shape[0] - rows * scale) <= 1
    assert abs(small.shape[1] - columns * scale) <= 1


def test_areas_are_averaged() -> None:
    checks = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (8, 8))
    assert (shrink(checks, 8) == 100).all()


@pytest.mark.parametrize(("blue", "shape"), [(5, (2, 2)), (6, (2, 2, 3))])
def test_only_true_grey_loses_its_channels(blue: int, shape: tuple[int, ...]) -> None:
    pixels = np.full((2, 2, 3), 5, np.uint8)
    pixels[1, 1, 2] = blue
    assert without_colour(pixels).shape == shape
