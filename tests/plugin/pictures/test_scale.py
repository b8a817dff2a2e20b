"""Smaller pictures, and square pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.pictures.scale import fit, without_colour


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60), st.booleans())
def test_the_longer_side_fits_and_the_aspect_stays(rows: int, columns: int, side: int, colour: bool) -> None:
    small = fit(np.full((rows, columns, 3) if colour else (rows, columns), 77, np.uint8), side)
    assert max(small.shape[:2]) == min(side, max(rows, columns))
    assert (small == 77).all()
    scale = max(small.shape[:2]) / max(rows, columns)
    assert abs(small.shape[0] - rows * scale) <= 1
    assert abs(small.shape[1] - columns * scale) <= 1


def test_areas_are_averaged() -> None:
    checks = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (8, 8))
    assert (fit(checks, 8) == 100).all()


@pytest.mark.parametrize(
    ("shape", "aspect", "side", "wanted"),
    [
        ((10, 20), 2.0, 100, (20, 20)),
        ((10, 20), 0.5, 100, (10, 40)),
        ((100, 200), 2.0, 50, (50, 50)),
        ((400, 100), 0.25, 100, (100, 100)),
        ((1, 400), 20.0, 100, (5, 100)),
    ],
)
def test_pixels_become_square(shape: tuple[int, int], aspect: float, side: int, wanted: tuple[int, int]) -> None:
    made = fit(np.full(shape, 90, np.uint8), side, aspect)
    assert made.shape == wanted
    assert (made == 90).all()


def test_a_circle_of_oblong_pixels_becomes_round() -> None:
    rows, columns = np.mgrid[-10:10, -20:20]
    oblong = ((rows * 2) ** 2 + columns**2 < 300).astype(np.uint8) * 255
    made = fit(oblong, 512, aspect=2.0)
    assert made.shape == (40, 40)
    assert abs(int((made.max(axis=0) > 127).sum()) - int((made.max(axis=1) > 127).sum())) <= 2


@pytest.mark.parametrize(("blue", "shape"), [(5, (2, 2)), (6, (2, 2, 3))])
def test_only_true_grey_loses_its_channels(blue: int, shape: tuple[int, ...]) -> None:
    pixels = np.full((2, 2, 3), 5, np.uint8)
    pixels[1, 1, 2] = blue
    assert without_colour(pixels).shape == shape
