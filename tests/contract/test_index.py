"""What every registered index must do; an approximate one may miss members, but must not invent or repeat any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cbmir.errors import BadRequest, EncoderMismatch, NotFound
from cbmir.index.base import Index
from cbmir.index.registry import BACKENDS, build

Make = Callable[[list[int], list[list[float]]], Index]


@pytest.fixture(params=sorted(BACKENDS))
def make(request: pytest.FixtureRequest) -> Make:
    return lambda ids, vectors: build(ids, np.array(vectors, np.float32).reshape(len(ids), -1), request.param)


def floats(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_finds_the_nearest_first_with_their_distances(make: Make) -> None:
    index = make([10, 20, 30], [[0, 0], [3, 4], [0, 1]])
    assert index.search(floats([0, 0]), 3) == [[(10, 0.0), (30, 1.0), (20, 5.0)]]
    assert (len(index), index.dimension) == (3, 2)


def test_answers_each_query_of_a_batch_in_order(make: Make) -> None:
    index = make([1, 2], [[0, 0], [8, 0]])
    assert [[id for id, _ in ranking] for ranking in index.search(floats([7, 0], [1, 0]), 1)] == [[2], [1]]
    assert index.search(np.empty((0, 2), np.float32), 1) == []


def test_equal_distances_come_in_the_order_of_the_ids(make: Make) -> None:
    index = make([5, 3, 9, 1], [[1, 0], [-1, 0], [0, 1], [0, -1]])
    assert [id for id, _ in index.search(floats([0, 0]), 4)[0]] == [1, 3, 5, 9]
    assert [id for id, _ in index.search(floats([0, 0]), 2)[0]] == [1, 3]


def test_duplicates_are_all_found(make: Make) -> None:
    index = make(list(range(200)), [[1.5, -2.5]] * 200)
    assert index.search(floats([1.5, -2.5]), 150) == [[(id, 0.0) for id in range(150)]]


def test_k_above_the_number_of_members_gives_all(make: Make) -> None:
    assert len(make([1, 2, 3], [[0], [1], [2]]).search(floats([0]), 1000)[0]) == 3


def test_a_filter_is_applied_before_the_search(make: Make) -> None:
    near = [[float(number), 0.0] for number in range(100)]
    index = make(list(range(100)), near)
    kept = np.array([7, 50, 60, 99, 4711], np.int64)
    assert [id for id, _ in index.search(floats([0, 0]), 3, kept)[0]] == [7, 50, 60]
    most = np.delete(np.arange(100), [0, 2])
    assert [id for id, _ in index.search(floats([0, 0]), 3, most)[0]] == [1, 3, 4]
    assert [id for id, _ in index.search(floats([0, 0]), 200, most)[0]] == most.tolist()


def test_a_filter_may_name_what_the_index_does_not_hold(make: Make) -> None:
    index = make(list(range(0, 200, 2)), [[float(number)] for number in range(100)])
    for kept in (np.array([-5, 3, 7, 8, 11, 500]), np.arange(1, 200, 2), np.arange(7, 1000)):
        expected = [id for id in kept.tolist() if id % 2 == 0 and 0 <= id < 200][:5]
        assert [id for id, _ in index.search(floats([0]), 5, kept)[0]] == expected


def test_a_filter_that_keeps_nothing_gives_nothing(make: Make) -> None:
    index = make([1, 2], [[0], [1]])
    assert index.search(floats([0], [1]), 5, np.array([], np.int64)) == [[], []]
    assert index.search(floats([0]), 5, np.array([77], np.int64)) == [[]]


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_an_index_of_nothing_finds_nothing(backend: str) -> None:
    empty = build([], np.empty((0, 3), np.float32), backend)
    assert empty.search(floats([0, 0, 0]), 5) == [[]]


@pytest.mark.parametrize("width", [1, 3])
def test_a_query_of_another_dimension_is_refused(make: Make, width: int) -> None:
    with pytest.raises(EncoderMismatch):
        make([1], [[0, 0]]).search(np.zeros((1, width), np.float32), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(make: Make, value: float) -> None:
    with pytest.raises(BadRequest, match="NaN or infinity"):
        make([1, 2], [[0, 0], [0, value]])
    with pytest.raises(BadRequest, match="NaN or infinity"):
        make([1], [[0, 0]]).search(floats([value, 0]), 1)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(make: Make, k: int) -> None:
    with pytest.raises(BadRequest, match="k must be at least 1"):
        make([1], [[0, 0]]).search(floats([0, 0]), k)


def test_an_id_that_comes_twice_is_refused(make: Make) -> None:
    with pytest.raises(BadRequest, match="twice"):
        make([2, 1, 2], [[0], [1], [2]])
    with pytest.raises(BadRequest, match="do not fit"):
        build([1, 2], np.zeros((1, 2), np.float32))
    with pytest.raises(EncoderMismatch):
        build([1, 2], np.zeros(2, np.float32))


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(NotFound, match="crystal"):
        build([1], np.zeros((1, 1), np.float32), "crystal")


def test_an_exact_index_says_so() -> None:
    assert build([1], np.zeros((1, 1), np.float32), "exact").is_exact
