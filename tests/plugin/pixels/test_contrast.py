"""Bytes, and the range of a picture that does not say how it wants to be shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.pixels.contrast import counted_range, robust_range, to_bytes


def test_rounding_clipping_and_nan() -> None:
    values = np.array([0, 0.4 / 255, 0.6 / 255, 1, 1.5, -3, np.nan, np.inf], np.float32)
    assert to_bytes(values).tolist() == [0, 0, 1, 255, 255, 0, 0, 255]


def test_every_level_survives() -> None:
    levels = np.arange(256)
    assert to_bytes((levels / 255).astype(np.float32)).tolist() == levels.tolist()


@settings(deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=300),
    st.sampled_from([(0.5, 99.5), (0.0, 100.0), (0.0, 99.9), (20.0, 60.0)]),
)
def test_a_histogram_gives_the_range_of_its_pixels(pixels: list[int], percentiles: tuple[float, float]) -> None:
    values, counts = np.unique(np.array(pixels), return_counts=True)
    shuffled = np.random.default_rng(0).permutation(len(values))
    found = counted_range(values[shuffled], counts[shuffled], percentiles)
    assert found == pytest.approx(robust_range(np.array(pixels), percentiles))
    assert found[0] < found[1]


def test_values_that_do_not_count() -> None:
    assert counted_range(np.array([-2000, 5, 9]), np.array([0, 1, 1]), (0.0, 100.0)) == (5, 9)
    assert counted_range(np.array([-2000]), np.array([0])) == (0, 1)
