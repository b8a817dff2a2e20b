"""The graph loses no more than it says, whatever the filter keeps; what it is read from is what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cbmir.errors import BrokenFile, Unavailable
from cbmir.index import extras, hnsw_file
from cbmir.index.base import Index
from cbmir.index.recall import Truth, spread
from cbmir.index.registry import build
from cbmir.index.stamp import Stamp
from cbmir.types import FloatArray, IdArray

pytest.importorskip("faiss", reason="needs `pip install 'cbmir[hnsw]'`")
hnsw = pytest.importorskip("cbmir.index.hnsw")

COUNT, WIDTH, K = 60_000, 16, 10
STAMP = Stamp("net", 3, ("test/1",), 0.99)


def clustered(count: int, seed: int) -> FloatArray:
    """float32 (count, WIDTH): clusters along few directions, as an encoder's features lie."""
    shape, random = np.random.default_rng(7), np.random.default_rng(seed)
    centres, directions = shape.normal(size=(50, WIDTH)), shape.normal(size=(4, WIDTH))
    features = centres[random.integers(0, 50, count)] + random.normal(size=(count, 4)) @ directions * 0.3
    return (features + random.normal(scale=0.05, size=(count, WIDTH))).astype(np.float32)


@pytest.fixture(scope="module")
def members() -> tuple[IdArray, FloatArray]:
    """Ids that are no row numbers, and features."""
    return np.arange(COUNT) * 3 + 5, clustered(COUNT, 0)


@pytest.fixture(scope="module")
def graph(members: tuple[IdArray, FloatArray]) -> Index:
    return build(*members, "hnsw")


@pytest.fixture(scope="module")
def truth(members: tuple[IdArray, FloatArray]) -> Index:
    return build(*members, "exact")


def found(graph: Index, truth: Index, queries: FloatArray, allowed: IdArray | None) -> float:
    """The share of the true hits that the graph finds; those it finds have the very same distance."""
    pairs = list(zip(graph.search(queries, K, allowed), truth.search(queries, K, allowed), strict=True))
    for ours, true in pairs:
        known = dict(true)
        assert all(known[id] == distance for id, distance in ours if id in known)
        assert ours == sorted(ours, key=lambda hit: (hit[1], hit[0]))
        assert len(ours) == len(true)
    return sum(len({*dict(ours)} & {*dict(true)}) for ours, true in pairs) / sum(len(true) for _, true in pairs)


def test_it_is_walked_and_finds_nearly_all(graph: Index, truth: Index) -> None:
    assert not graph.is_exact
    assert found(graph, truth, clustered(100, 1), None) >= 0.97


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2, 0.05, 0.001])
def test_a_filter_costs_no_hit(
    graph: Index, truth: Index, members: tuple[IdArray, FloatArray], share: float
) -> None:
    kept = members[0][np.random.default_rng(2).random(COUNT) < share]
    assert found(graph, truth, clustered(100, 1), kept) >= 0.97


def test_a_filter_that_keeps_many_but_none_near_costs_no_hit(
    graph: Index, truth: Index, members: tuple[IdArray, FloatArray]
) -> None:
    ids, vectors = members
    query = vectors[:1]
    far = np.linalg.norm(vectors - query, axis=1)
    kept = ids[far > np.median(far)]
    assert found(graph, truth, query, kept) == 1.0


def test_many_hits_are_found_too(graph: Index, truth: Index) -> None:
    query = clustered(1, 3)
    for k in (500, 2_000, COUNT + 1):
        ours, true = graph.search(query, k)[0], truth.search(query, k)[0]
        assert len(ours) == len(true) == min(k, COUNT)
        assert len({*dict(ours)} & {*dict(true)}) >= 0.97 * len(true)


def test_recall_is_what_it_would_be_with_the_exact_index_beside_it(
    graph: Index, truth: Index, members: tuple[IdArray, FloatArray]
) -> None:
    ids, vectors = members
    some = spread(COUNT)
    measured = Truth(ids[some], vectors[some])
    for start in range(0, COUNT, 7_000):
        measured.take(ids[start : start + 7_000], vectors[start : start + 7_000])
    assert measured.recall(truth) == 1.0
    half = build(ids[::2], vectors[::2], "exact")
    assert 0.3 < measured.recall(half) < 0.7
    assert measured.recall(graph) >= 0.97


def test_recall_of_what_has_no_others_is_whole() -> None:
    alone = Truth(np.array([1]), np.zeros((1, 2), np.float32))
    alone.take(np.array([1]), np.zeros((1, 2), np.float32))
    assert alone.recall(build([1], np.zeros((1, 2), np.float32), "hnsw")) == 1.0
    assert spread(0).tolist() == []


def test_a_file_gives_back_the_same_without_a_copy(graph: Index, tmp_path: Path) -> None:
    path = tmp_path / "net.hnsw"
    hnsw_file.write(path, STAMP, graph)
    stamp, index = hnsw_file.read(path, "net")
    assert stamp == STAMP
    assert index.vectors.flags.aligned
    assert not index.vectors.flags.owndata
    queries = clustered(20, 4)
    assert index.search(queries, K) == graph.search(queries, K)


def test_a_file_with_another_graph_in_it_is_refused(graph: Index, tmp_path: Path) -> None:
    path = tmp_path / "net.hnsw"
    other = hnsw.HnswIndex(graph.members()[1:], graph.vectors, graph.graph)
    hnsw_file.write(path, STAMP, other)
    with pytest.raises(BrokenFile, match="damaged"):
        hnsw_file.read(path, "net")


def test_a_package_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(Unavailable, match="needs the package no_such_package") as caught:
        extras.needed("no_such_package", "hnsw")
    assert caught.value.remedy == "Run `pip install 'cbmir[hnsw]'`."
