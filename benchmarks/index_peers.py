"""Those whom `index.py` measures beside us: as far as they are installed."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from cbmir.index.base import IdArray
from cbmir.types import FloatArray

LARGEST_LOOP = 50_000
"""Features above which the paper's loop is left out: it would take ten seconds a query."""
LARGEST_GRAPH = 100_000
"""Features above which graphs are left out: one would take minutes to build."""
CANDIDATES = 100
"""Of FAISS's 8-bit codes, measured exactly afterwards."""

Work = Callable[[int], Any]


def contenders(vectors: FloatArray, queries: FloatArray, k: int, some: IdArray) -> dict[str, Work]:
    """One query by its number, for each peer, by NumPy also among some ids; it gives the ids found."""
    found = {
        "NumPy, norms kept": norms(vectors, queries, k),
        "NumPy, filter keeps 1 %": norms_of_some(vectors, queries, k, some),
        "NumPy, filter keeps 1 %, again": norms_of_some(vectors, queries, k, some),
    }
    if len(vectors) <= LARGEST_LOOP:
        found["paper: JSON and a loop"] = papers_loop(vectors, queries, k)
    if find_spec("sklearn"):
        found |= {f"scikit-learn {name}": scikit(vectors, queries, k, name) for name in ("brute", "kd_tree")}
    if find_spec("faiss"):
        found |= {
            "FAISS flat": faiss_flat(vectors, queries, k),
            "FAISS 8 bit, re-ranked": faiss_8(vectors, queries, k),
        }
    if find_spec("hnswlib") and len(vectors) <= LARGEST_GRAPH:
        found["hnswlib (approximate)"] = graph(vectors, queries, k)
    return found


def norms(vectors: FloatArray, queries: FloatArray, k: int) -> Work:
    """|x|^2 - 2 q.x of all, and the least of them."""
    squares = np.einsum("ij,ij->i", vectors, vectors)

    def work(turn: int) -> list[int]:
        values = squares - 2 * (vectors @ queries[turn])
        nearest = np.argpartition(values, k)[:k]
        return [int(row) for row in nearest[np.argsort(values[nearest])]]

    return work


def norms_of_some(vectors: FloatArray, queries: FloatArray, k: int, some: IdArray) -> Work:
    """As `norms`, of those alone whom a filter keeps."""
    squares = np.einsum("ij,ij->i", vectors, vectors)

    def work(turn: int) -> list[int]:
        values = squares[some] - 2 * (vectors[some] @ queries[turn])
        nearest = np.argpartition(values, k)[:k]
        return [int(id) for id in some[nearest[np.argsort(values[nearest])]]]

    return work


def papers_loop(vectors: FloatArray, queries: FloatArray, k: int) -> Work:
    """The index as the paper has it: read from a JSON file, then compared one by one."""
    with tempfile.TemporaryFile("w+") as file:
        json.dump([{"file": f"{row}.png", "feature": vector.tolist()} for row, vector in enumerate(vectors)], file)
        file.seek(0)
        rows = json.load(file)

    def work(turn: int) -> list[int]:
        query = queries[turn].tolist()
        distances = [
            math.sqrt(sum((a - b) ** 2 for a, b in zip(row["feature"], query, strict=True))) for row in rows
        ]
        return sorted(range(len(rows)), key=distances.__getitem__)[:k]

    return work


def scikit(vectors: FloatArray, queries: FloatArray, k: int, algorithm: str) -> Work:
    """scikit-learn's neighbours."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=k, algorithm=algorithm).fit(vectors)
    return lambda turn: fitted.kneighbors(queries[turn : turn + 1], return_distance=False)[0].tolist()


def faiss_flat(vectors: FloatArray, queries: FloatArray, k: int) -> Work:
    """FAISS's brute force."""
    import faiss

    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    return lambda turn: index.search(queries[turn : turn + 1], k)[1][0].tolist()


def faiss_8(vectors: FloatArray, queries: FloatArray, k: int) -> Work:
    """FAISS's 8-bit codes, and the exact distances of the nearest by them: as good as exact, without a proof."""
    import faiss

    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit)
    index.train(vectors)
    index.add(vectors)

    def work(turn: int) -> list[int]:
        rows = index.search(queries[turn : turn + 1], CANDIDATES)[1][0]
        distances = ((vectors[rows] - queries[turn]) ** 2).sum(axis=1)
        return [int(row) for row in rows[np.argsort(distances)[:k]]]

    return work


def graph(vectors: FloatArray, queries: FloatArray, k: int) -> Work:
    """hnswlib with its usual parameters."""
    import hnswlib

    index = hnswlib.Index("l2", vectors.shape[1])
    index.init_index(len(vectors), ef_construction=200, M=16)
    index.add_items(vectors, num_threads=1)
    index.set_ef(100)
    return lambda turn: [int(id) for id in index.knn_query(queries[turn], k, num_threads=1)[0][0]]
