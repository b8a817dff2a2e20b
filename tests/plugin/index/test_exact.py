"""The exact index against brute force in float64."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.index import bounds, sweep
from cbmir.index.base import IdArray, Ranking
from cbmir.index.exact import ExactIndex
from cbmir.index.sweep import GROUP, Members
from cbmir.types import FloatArray


def brute_force(ids: IdArray, vectors: FloatArray, query: FloatArray, k: int) -> Ranking:
    differences = vectors.astype(np.float64) - query.astype(np.float64)
    distances = np.sqrt((differences * differences).sum(axis=1))
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
    ids = random.choice(10 * count, count, replace=False).astype(np.int64)
    return ids, table, queries, draw(st.sampled_from([1, 2, 5, 20, 1000]))


@settings(max_examples=150, deadline=None)
@given(galleries())
def test_equals_brute_force(case: tuple[IdArray, FloatArray, FloatArray, int]) -> None:
    ids, vectors, queries, k = case
    found = ExactIndex(ids, vectors).search(queries, k)
    assert found == [brute_force(ids, vectors, query, k) for query in queries]


@settings(max_examples=80, deadline=None)
@given(galleries(), st.floats(0, 1), st.integers(0, 2**32))
def test_equals_brute_force_over_what_a_filter_keeps(
    case: tuple[IdArray, FloatArray, FloatArray, int], share: float, seed: int
) -> None:
    ids, vectors, queries, k = case
    kept = np.random.default_rng(seed).random(len(ids)) < share
    found = ExactIndex(ids, vectors).search(queries, k, np.sort(ids[kept]))
    assert found == [brute_force(ids[kept], vectors[kept], query, k) for query in queries]


@settings(max_examples=60, deadline=None)
@given(galleries())
def test_bounds_hold_in_exact_arithmetic(case: tuple[IdArray, FloatArray, FloatArray, int]) -> None:
    _, vectors, queries, _ = case
    vectors, query = vectors[:5, :48], queries[-1:, :48]
    if max(bounds.lengths(vectors).max(), bounds.lengths(query).max()) > bounds.WIDEST:
        return
    lower = (bounds.factors(query) @ bounds.table(vectors).T)[0]
    for bound, vector in zip(lower.tolist(), vectors.tolist(), strict=True):
        pairs = [(Fraction(x), Fraction(q)) for x, q in zip(vector, query[0].tolist(), strict=True)]
        assert Fraction(bound) <= sum(x * x - 2 * q * x for x, q in pairs) + Fraction(2) ** -110
        distance = float(np.sqrt(((np.array(vector) - query[0].astype(np.float64)) ** 2).sum()))
        assert bound <= bounds.ceiling(distance, query[0])


def test_a_large_gallery_equals_brute_force_and_hardly_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[int] = []
    distances = Members._distances

    def counted(self: Members, query: FloatArray, rows: np.ndarray) -> np.ndarray:
        measured.append(len(rows))
        return distances(self, query, rows)

    monkeypatch.setattr(Members, "_distances", counted)
    random = np.random.default_rng(3)
    centres = random.normal(size=(40, 48)) * 3
    vectors = (centres[random.integers(0, 40, 30_000)] + random.normal(size=(30_000, 48))).astype(np.float32)
    ids, queries = np.arange(30_000), vectors[:20] + np.float32(0.01)
    found = ExactIndex(ids, vectors).search(queries, 5)
    assert found == [brute_force(ids, vectors, query, 5) for query in queries]
    assert max(measured) <= 5 * GROUP


@pytest.mark.parametrize("k", [1, 5, 100, 1000, 4000])
def test_any_k_equals_brute_force(k: int) -> None:
    random = np.random.default_rng(8)
    vectors = np.round(random.normal(size=(5001, 6)), 1).astype(np.float32)
    ids, query = np.arange(5001), vectors[17:18]
    assert ExactIndex(ids, vectors).search(query, k) == [brute_force(ids, vectors, query[0], k)]
    some = ids[ids % 3 == 0]
    expected = brute_force(some, vectors[some], query[0], k)
    assert ExactIndex(ids, vectors).search(query, k, some) == [expected]


def test_a_batch_that_does_not_fit_at_once_is_answered_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    vectors, queries = (random.normal(size=(n, 7)).astype(np.float32) for n in (500, 23))
    whole = ExactIndex(np.arange(500), vectors).search(queries, 9)
    for name, value in (("QUERIES", 5), ("TILE", 400), ("DIFFERENCES", 40)):
        monkeypatch.setattr(sweep, name, value)
    assert ExactIndex(np.arange(500), vectors).search(queries, 9) == whole
    assert ExactIndex(np.arange(500), vectors).search(queries, 9, np.arange(100, 500)) == [
        brute_force(np.arange(100, 500), vectors[100:], query, 9) for query in queries
    ]


def test_distances_that_float64_cannot_tell_apart_are_ties() -> None:
    ids = np.arange(1000)
    vectors = np.column_stack([ids - 1000, ids * 0]).astype(np.float32)
    query = np.array([[5e17, 0]], np.float32)  # its neighbours among the float64 numbers are 64 away
    found = ExactIndex(ids, vectors).search(query, 3)[0]
    assert found == brute_force(ids, vectors, query[0], 3)
    assert len({distance for _, distance in found}) == 1


@pytest.mark.parametrize("scale", [1e-23, 3e-23, 1e-22, 3e-22, 1e-21])
def test_squares_that_underflow_lose_nobody(scale: float) -> None:
    random = np.random.default_rng(6)
    vectors, queries = ((random.normal(size=(n, 3)) * scale).astype(np.float32) for n in (2000, 50))
    ids = np.arange(2000)
    found = ExactIndex(ids, vectors).search(queries, 3)
    assert found == [brute_force(ids, vectors, query, 3) for query in queries]


def test_a_batch_may_mix_magnitudes() -> None:
    vectors = np.array([[1, 0], [1e30, 0], [3, 0]], np.float32)
    found = ExactIndex([1, 2, 3], vectors).search(np.array([[0, 0], [1e30, 0]], np.float32), 1)
    assert [[id for id, _ in ranking] for ranking in found] == [[1], [2]]


def test_changing_the_given_vectors_afterwards_does_not_change_the_index() -> None:
    vectors = np.zeros((3, 2), np.float32)
    index = ExactIndex([1, 2, 3], vectors)
    vectors[:] = 99
    assert index.search(np.zeros((1, 2), np.float32), 1) == [[(1, 0.0)]]


def test_threads_may_search_at_once() -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(2000, 16)).astype(np.float32)
    index = ExactIndex(np.arange(2000), vectors)
    expected = [index.search(vectors[[row]], 5) for row in range(40)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda row: index.search(vectors[[row]], 5), range(40))) == expected
