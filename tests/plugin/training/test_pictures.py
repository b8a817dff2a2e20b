from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cbmir.encoders.base import Preprocessing
from cbmir.errors import BrokenFile, JobCancelled, NotFound
from cbmir.progress import Silence
from cbmir.training import pictures
from cbmir.types import ByteArray

SIDE = Preprocessing(8)


def read(key: str) -> ByteArray:
    """A picture whose every pixel is the number that its key is."""
    if key == "gone":
        raise NotFound("no such picture")
    if key == "damaged":
        raise BrokenFile("no such pixels")
    return np.full((20, 30), int(key), np.uint8)


def test_rows_are_in_the_order_of_the_keys(tmp_path: Path) -> None:
    keys = [str(number % 256) for number in range(600)]
    prepared = pictures.prepare(tmp_path, keys, read, SIDE, 2, Silence())
    assert prepared.values.shape == (600, 1, 8, 8)
    assert prepared.values.dtype == np.uint8
    assert [str(value) for value in prepared.values[:, 0, 0, 0]] == keys
    assert prepared.unreadable == ()


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    prepared = pictures.prepare(tmp_path, ["1", "gone", "2", "damaged"], read, SIDE, 1, Silence())
    assert prepared.unreadable == (1, 3)
    assert pictures.usable(np.array([3, 2, 1, 0]), prepared).tolist() == [2, 0]


def test_a_second_start_reads_nothing_again(tmp_path: Path) -> None:
    def never(key: str) -> ByteArray:
        raise AssertionError(key)

    first = pictures.prepare(tmp_path, ["1", "gone"], read, SIDE, 1, Silence())
    second = pictures.prepare(tmp_path, ["1", "gone"], never, SIDE, 1, Silence())
    assert (second.values == first.values).all()
    assert second.unreadable == (1,)


def test_a_cancelled_start_leaves_no_half_file(tmp_path: Path) -> None:
    class Impatient(Silence):
        def update(self, done: int, *_: object, **__: object) -> None:
            if done == 2:
                raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        pictures.prepare(tmp_path, ["1", "2", "3"], read, SIDE, 1, Impatient())
    assert list(tmp_path.iterdir()) == []
