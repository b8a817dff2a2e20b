"""Passes over pixels: NumPy, Pillow and machine code give the same, wherever the pixels lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cbmir.pixels import machine_code, passes

TABLE = np.random.default_rng(0).integers(0, 256, 1 << 16).astype(np.uint8)


@pytest.fixture(params=[0, passes.PAID])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code, and NumPy."""
    monkeypatch.setattr(passes, "PAID", request.param)
    monkeypatch.setattr(passes, "_seen", type(passes._seen)())


def as_in_a_file(cells: Any) -> Any:
    """The same cells, read only, and at an odd address."""
    return np.frombuffer(b"\0" + cells.tobytes(), "<u2", offset=1).reshape(cells.shape)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 400)])
@pytest.mark.parametrize("placed", [np.ascontiguousarray, as_in_a_file])
def test_each_cell_gets_what_the_table_has_for_it(shape: tuple[int, int], placed: Any) -> None:
    cells = placed(np.random.default_rng(1).integers(0, 1 << 16, shape).astype(np.uint16))
    assert np.array_equal(passes.looked_up(TABLE, cells), TABLE[cells])


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("placed", [np.ascontiguousarray, as_in_a_file])
@pytest.mark.parametrize("first", [0, 40_000, 65_000])
def test_numbers_are_counted_round_the_end(placed: Any, first: int) -> None:
    above = np.random.default_rng(2).integers(0, 1000, (60, 70))
    counted = passes.counts(placed((first + above).astype(np.uint16)), first, 1200)
    assert np.array_equal(counted, np.bincount(above.reshape(-1), minlength=1200))


@pytest.mark.parametrize("factor", [*range(2, 40), 64, 100, 255, 256])
@pytest.mark.parametrize("fill", [None, 255])
def test_means_are_those_of_pillow(factor: int, fill: int | None) -> None:
    pixels = np.random.default_rng(factor).integers(0, 256, (3 * factor, 7 * factor)).astype(np.uint8)
    if fill is not None:
        pixels[:] = fill
    assert np.array_equal(machine_code.means(pixels, factor), np.asarray(Image.fromarray(pixels).reduce(factor)))


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("factor", [2, 4, 300])
def test_means_are_the_nearest_numbers(factor: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (4 * factor, 2 * factor)).astype(np.uint8)
    exact = pixels.reshape(4, factor, 2, factor).mean((1, 3))
    assert np.abs(passes.means(pixels, factor) - exact).max() <= 0.5 + 1e-3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=80))
def test_machine_code_gives_the_same(numbers: list[int]) -> None:
    cells = np.array(numbers, np.uint16)
    length = max(numbers) - min(numbers) + 1
    assert np.array_equal(machine_code.looked_up(TABLE, cells), TABLE[cells])
    assert np.array_equal(
        machine_code.counts(cells, min(numbers), length), np.bincount(cells - cells.min(), minlength=length)
    )


def test_machine_code_is_loaded_once_it_has_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "_seen", type(passes._seen)())
    monkeypatch.setattr(passes, "PAID", 30)
    taken = []
    monkeypatch.setattr(machine_code, "looked_up", lambda _, cells: taken.append(cells.size))
    for _ in range(4):
        passes.looked_up(TABLE, np.zeros((3, 4), np.uint16))
    assert taken == [12, 12]
