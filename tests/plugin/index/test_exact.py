"""The exact index against brute force in float64."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.index import exact, sums, visit
from cbmir.index.base import Ranking
from cbmir.index.bounds import rough, square_above
from cbmir.index.cells import SIZE
from cbmir.index.exact import ExactIndex, Touched, build
from cbmir.index.measure import distance
from cbmir.index.visit import Placed
from cbmir.types import FloatArray, IdArray


def brute_force(ids: IdArray, vectors: FloatArray, query: FloatArray, k: int) -> Ranking:
    squares = np.zeros(len(vectors))
    for axis in range(vectors.shape[1]):  # from the first to the last, which is how `distance` adds
        squares += (vectors[:, axis].astype(np.float64) - np.float64(query[axis])) ** 2
    distances = np.sqrt(squares)
    return [(int(ids[row]), float(distances[row])) for row in np.lexsort((ids, distances))[:k]]


@st.composite
def galleries(draw: st.DrawFn) -> tuple[IdArray, FloatArray, FloatArray, int]:
    """Ids, vectors, queries and k: clusters, grids, duplicates, and every magnitude that float32 has."""
    width = draw(st.sampled_from([1, 2, 3, 7, 48, 100, 512, 2048]))
    count = draw(st.integers(1, 400 if width <= 100 else 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    vectors = random.normal(size=(count, width))
    if draw(st.booleans()):
        vectors = np.round(vectors)  # a grid: many true ties
    if draw(st.booleans()):
        vectors = vectors[random.integers(0, count, count)]  # duplicates
    if draw(st.booleans()):
        vectors[0] *= 1e6  # one far out
    offset = draw(st.sampled_from([0.0, 1.0, 1e4]))
    scale = 10.0 ** draw(st.sampled_from([-43, -30, -22, -21, -5, 0, 0, 0, 6, 25, 31]))
    table = ((vectors + offset) * scale).astype(np.float32)
    queries = np.concatenate([table[:3], ((random.normal(size=(3, width)) + offset) * scale).astype(np.float32)])
    apart = draw(st.sampled_from([1, 2, 10]))  # ids are kept in a table where they are dense
    ids = random.choice(apart * count, count, replace=False).astype(np.int64) - draw(st.integers(0, 5))
    return ids, table, queries, draw(st.sampled_from([1, 2, 5, 20, 1000]))


@settings(max_examples=150, deadline=None)
@given(galleries(), st.sampled_from([1, 4, 16, SIZE]))
def test_equals_brute_force(case: tuple[IdArray, FloatArray, FloatArray, int], size: int) -> None:
    ids, vectors, queries, k = case
    found = build(ids, vectors, size).search(queries, k)
    assert found == [brute_force(ids, vectors, query, k) for query in queries]


@settings(max_examples=80, deadline=None)
@given(galleries(), st.floats(0, 1) | st.floats(0.9, 1), st.integers(0, 2**32), st.lists(st.integers(-9, 5000)))
def test_equals_brute_force_over_what_a_filter_keeps(
    case: tuple[IdArray, FloatArray, FloatArray, int], share: float, seed: int, strangers: list[int]
) -> None:
    ids, vectors, queries, k = case
    kept = np.random.default_rng(seed).random(len(ids)) < share
    allowed = np.union1d(ids[kept], np.setdiff1d(np.array(strangers, np.int64), ids))
    found = build(ids, vectors, 8).search(queries, k, allowed)
    assert found == [brute_force(ids[kept], vectors[kept], query, k) for query in queries]


def bounds_of(index: ExactIndex, cell: int, placed: Placed, axes: IdArray) -> FloatArray:
    """The sums over all axes, float32 (size,), of all who are there."""
    found, size = np.empty(index.cells.codes.shape[2], np.float32), index.cells.codes.shape[2]
    sums.start(found, np.empty(0, np.bool_), cell * size, len(index))
    sums.bounded(index.cells, cell, 0, placed.place, axes, np.float32(np.inf), found, np.zeros(3, np.int64))
    return found


@settings(max_examples=60, deadline=None)
@given(galleries(), st.floats(-20, 20))
def test_no_member_is_bounded_away_whose_distance_is_the_limit(
    case: tuple[IdArray, FloatArray, FloatArray, int], power: float
) -> None:
    """The proof, member by member: with the limit at a member's own distance, neither box nor codes exclude it."""
    ids, vectors, queries, _ = case
    index = build(ids, vectors, 4)
    queries = np.clip(queries.astype(np.float64) * 10.0**power, -1e38, 1e38).astype(np.float32)
    axes = np.random.default_rng(len(ids)).permutation(index.along.coordinates)
    for query, placed in zip(queries, exact.placed(index.along, queries), strict=True):
        everywhere = np.arange(len(index.cells.slack))
        lower = visit.floors(index.cells, np.ones(len(everywhere), np.bool_), placed)
        raised = lower.copy()
        visit.raise_floors(index.cells, everywhere, placed, raised)
        for row, member in enumerate(index.cells.vectors):
            cell, limit = row // 4, distance(member, query) * placed.scale
            assert max(lower[cell], raised[cell]) <= limit
            ceiling = square_above(limit + index.cells.slack[cell] + placed.reach, len(placed.place))
            assert bounds_of(index, cell, placed, axes)[row % 4] <= ceiling
            assert rough(member, query) <= square_above(distance(member, query), len(query))


@given(st.integers(0, 40), st.integers(1, 12), st.booleans(), st.integers(0, 2**32))
def test_who_does_not_count_is_out_under_any_ceiling(first: int, size: int, filtered: bool, seed: int) -> None:
    kept = np.random.default_rng(seed).random(first + 5) < 0.5
    found = np.empty(size, np.float32)
    sums.start(found, kept if filtered else kept[:0], first, len(kept))
    counts = kept[first : first + size] if filtered else np.ones(min(size, 5), np.bool_)
    assert (found <= np.inf).tolist() == counts.tolist() + [False] * (size - len(counts))
    assert not found[: len(counts)][counts].any()


def test_a_cell_is_left_as_soon_as_all_are_out() -> None:
    vectors = np.random.default_rng(2).normal(size=(64, 24)).astype(np.float32)
    index, looked = build(np.arange(64), vectors, 64), np.zeros(3, np.int64)
    placed = exact.placed(index.along, vectors[:1] + np.float32(9))[0]
    found = np.zeros(64, np.float32)
    axes = np.arange(index.along.coordinates)
    assert sums.bounded(index.cells, 0, 0, placed.place, axes, np.float32(0), found, looked) == 0
    assert looked.tolist() == [1, 64 * sums.TOGETHER, 0]


def test_the_distance_is_right_to_the_last_digits() -> None:
    random = np.random.default_rng(11)
    for width in (1, 3, 48, 2048):
        one, other = random.normal(size=(2, width)).astype(np.float32)
        pairs = zip(one.tolist(), other.tolist(), strict=True)
        square = sum((Fraction(x) - Fraction(y)) ** 2 for x, y in pairs)
        found = Fraction(float(distance(one, other)))
        spread = Fraction(2 * (width + 4), 2**53)
        assert square * (1 - spread) <= found * found <= square * (1 + spread)


def test_a_large_gallery_equals_brute_force_and_hardly_anything_is_looked_at() -> None:
    random = np.random.default_rng(3)
    centres = random.normal(size=(40, 48)) * 3
    vectors = (centres[random.integers(0, 40, 30_000)] + random.normal(size=(30_000, 48))).astype(np.float32)
    ids, queries, touched = np.arange(30_000), vectors[:20] + np.float32(0.01), Touched()
    found = build(ids, vectors).search(queries, 5, touched=touched)
    assert found == [brute_force(ids, vectors, query, 5) for query in queries]
    assert touched.measured <= len(queries) * 2 * SIZE
    assert touched.codes <= len(queries) * vectors.size / 8


@pytest.mark.parametrize("k", [1, 5, 100, 1000, 4000])
def test_any_k_equals_brute_force(k: int) -> None:
    random = np.random.default_rng(8)
    vectors = np.round(random.normal(size=(5001, 6)), 1).astype(np.float32)
    ids, query = np.arange(5001), vectors[17:18]
    assert build(ids, vectors).search(query, k) == [brute_force(ids, vectors, query[0], k)]
    some = ids[ids % 3 == 0]
    expected = brute_force(some, vectors[some], query[0], k)
    assert build(ids, vectors).search(query, k, some) == [expected]


def test_distances_that_float64_cannot_tell_apart_are_ties() -> None:
    ids = np.arange(1000)
    vectors = np.column_stack([ids - 1000, ids * 0]).astype(np.float32)
    query = np.array([[5e17, 0]], np.float32)  # its neighbours among the float64 numbers are 64 away
    found = build(ids, vectors).search(query, 3)[0]
    assert found == brute_force(ids, vectors, query[0], 3)
    assert len({distance for _, distance in found}) == 1


@pytest.mark.parametrize("scale", [1e-23, 3e-23, 1e-22, 3e-22, 1e-21])
def test_squares_that_underflow_lose_nobody(scale: float) -> None:
    random = np.random.default_rng(6)
    vectors, queries = ((random.normal(size=(n, 3)) * scale).astype(np.float32) for n in (2000, 50))
    ids = np.arange(2000)
    found = build(ids, vectors).search(queries, 3)
    assert found == [brute_force(ids, vectors, query, 3) for query in queries]


def test_a_batch_may_mix_magnitudes() -> None:
    vectors = np.array([[1, 0], [1e30, 0], [3, 0]], np.float32)
    found = build([1, 2, 3], vectors).search(np.array([[0, 0], [1e30, 0]], np.float32), 1)
    assert [[id for id, _ in ranking] for ranking in found] == [[1], [2]]


def test_changing_the_given_vectors_afterwards_does_not_change_the_index() -> None:
    vectors = np.zeros((3, 2), np.float32)
    index = build([1, 2, 3], vectors)
    vectors[:] = 99
    assert index.search(np.zeros((1, 2), np.float32), 1) == [[(1, 0.0)]]


def test_threads_may_search_at_once() -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(2000, 16)).astype(np.float32)
    index = build(np.arange(2000), vectors)
    expected = [index.search(vectors[[row]], 5) for row in range(40)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda row: index.search(vectors[[row]], 5), range(40))) == expected
