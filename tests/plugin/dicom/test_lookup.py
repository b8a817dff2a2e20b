"""Passes over cells: NumPy and machine code give the same, wherever the cells lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.dicom import lookup, machine

TABLE = np.random.default_rng(0).integers(0, 256, 1 << 16).astype(np.uint8)


@pytest.fixture(params=[0, lookup.PAID])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code, and NumPy."""
    monkeypatch.setattr(lookup, "PAID", request.param)
    monkeypatch.setattr(lookup, "_seen", type(lookup._seen)())


def as_in_a_file(cells: Any) -> Any:
    """The same cells, read only, and at an odd address."""
    return np.frombuffer(b"\0" + cells.tobytes(), "<u2", offset=1).reshape(cells.shape)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 400)])
@pytest.mark.parametrize("placed", [np.ascontiguousarray, as_in_a_file])
def test_each_cell_gets_what_the_table_has_for_it(shape: tuple[int, int], placed: Any) -> None:
    cells = placed(np.random.default_rng(1).integers(0, 1 << 16, shape).astype(np.uint16))
    assert np.array_equal(lookup.looked_up(TABLE, cells), TABLE[cells])


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("placed", [np.ascontiguousarray, as_in_a_file])
@pytest.mark.parametrize("first", [0, 40_000, 65_000])
def test_numbers_are_counted_round_the_end(placed: Any, first: int) -> None:
    above = np.random.default_rng(2).integers(0, 1000, (60, 70))
    counted = lookup.counts(placed((first + above).astype(np.uint16)), first, 1200)
    assert np.array_equal(counted, np.bincount(above.reshape(-1), minlength=1200))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=80))
def test_machine_code_gives_the_same(numbers: list[int]) -> None:
    cells = np.array(numbers, np.uint16)
    length = max(numbers) - min(numbers) + 1
    assert np.array_equal(machine.looked_up(TABLE, cells), TABLE[cells])
    assert np.array_equal(
        machine.counts(cells, min(numbers), length), np.bincount(cells - cells.min(), minlength=length)
    )


def test_machine_code_is_loaded_once_it_has_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_seen", type(lookup._seen)())
    monkeypatch.setattr(lookup, "PAID", 30)
    taken = []
    monkeypatch.setattr(machine, "looked_up", lambda _, cells: taken.append(cells.size))
    for _ in range(4):
        lookup.looked_up(TABLE, np.zeros((3, 4), np.uint16))
    assert taken == [12, 12]
