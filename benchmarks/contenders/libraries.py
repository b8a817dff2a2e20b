"""Libraries for nearest neighbours: scikit-learn, FAISS, hnswlib."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from cbmir.types import FloatArray
from contenders.base import BREADTH, SMALL, Contender, Gallery

CANDIDATES = 10
"""Of FAISS's 8-bit codes, for each hit wanted, measured exactly afterwards; a hundred at least."""
PROBED = 16
"""Lists of an inverted file that are looked into, of as many as the root of the gallery's size."""


class _Scikit(Contender):
    family, needs = "scikit-learn", ("sklearn",)
    algorithm: str

    def build(self, gallery: Gallery) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.fitted = NearestNeighbors(algorithm=self.algorithm).fit(gallery.vectors)

    def search(self, query: FloatArray, k: int) -> list[int]:
        return self._asked(query[np.newaxis], k)[0]

    def _asked(self, queries: FloatArray, k: int) -> list[list[int]]:
        return self.fitted.kneighbors(queries, k, return_distance=False).tolist()


class Brute(_Scikit):
    """Its brute force; for its trees a batch is one query after the other."""

    name, algorithm = "scikit-learn brute", "brute"

    def search_many(self, queries: FloatArray, k: int) -> list[list[int]]:
        return self._asked(queries, k)


class KdTree(_Scikit):
    """Its kd-tree."""

    name, algorithm = "scikit-learn kd-tree", "kd_tree"


class BallTree(_Scikit):
    """Its ball tree."""

    name, algorithm = "scikit-learn ball tree", "ball_tree"


class _Faiss(Contender):
    family, needs = "faiss", ("faiss",)

    def build(self, gallery: Gallery) -> None:
        import faiss

        self.vectors, self.index = gallery.vectors, self.made(faiss, *gallery.vectors.shape)
        if not self.index.is_trained:
            self.index.train(gallery.vectors)
        self.index.add(gallery.vectors)
        self.plain, self.parts = self.parameters(faiss), []
        for ids in gallery.parts:
            kept = np.zeros(len(gallery.vectors), np.bool_)
            kept[ids] = True
            selector = faiss.IDSelectorBitmap(np.packbits(kept, bitorder="little"))
            self.parts.append(self.parameters(faiss, sel=selector))

    @abstractmethod
    def made(self, faiss: Any, count: int, dimension: int) -> Any:
        """The empty index."""

    def parameters(self, faiss: Any, **selector: Any) -> Any:
        """Of a search, perhaps among some."""
        return faiss.SearchParameters(**selector)

    def search(self, query: FloatArray, k: int) -> list[int]:
        return self._asked(query[np.newaxis], k, self.plain)[0]

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        return self._asked(query[np.newaxis], k, self.parts[part])[0]

    def search_many(self, queries: FloatArray, k: int) -> list[list[int]]:
        return self._asked(queries, k, self.plain)

    def _asked(self, queries: FloatArray, k: int, parameters: Any) -> list[list[int]]:
        return self.index.search(queries, k, params=parameters)[1].tolist()


class FaissFlat(_Faiss):
    """Its brute force."""

    name = "FAISS flat"

    def made(self, faiss: Any, count: int, dimension: int) -> Any:
        return faiss.IndexFlatL2(dimension)


class Faiss8Bit(_Faiss):
    """Its 8-bit codes, and the exact distances of the nearest by them: as good as exact, without a proof."""

    name = "FAISS 8 bit, re-ranked"

    def made(self, faiss: Any, count: int, dimension: int) -> Any:
        return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit)

    def _asked(self, queries: FloatArray, k: int, parameters: Any) -> list[list[int]]:
        found = self.index.search(queries, max(100, CANDIDATES * k), params=parameters)[1]
        return [self._ranked(query, rows[rows >= 0], k) for query, rows in zip(queries, found, strict=True)]

    def _ranked(self, query: FloatArray, rows: Any, k: int) -> list[int]:
        distances = ((self.vectors[rows] - query) ** 2).sum(axis=1)
        return rows[np.argsort(distances)[:k]].tolist()


class FaissIvf(_Faiss):
    """Its inverted file: only the lists of the nearest centres are looked into."""

    name, is_exact = "FAISS IVF-Flat", False

    def made(self, faiss: Any, count: int, dimension: int) -> Any:
        return faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension), dimension, round(math.sqrt(count)))

    def parameters(self, faiss: Any, **selector: Any) -> Any:
        return faiss.SearchParametersIVF(nprobe=PROBED, **selector)


class FaissHnsw(_Faiss):
    """Its graph."""

    name, is_exact, most, lifts = "FAISS HNSW", False, SMALL, True

    def made(self, faiss: Any, count: int, dimension: int) -> Any:
        index = faiss.IndexHNSWFlat(dimension, 16)
        index.hnsw.efConstruction = 200
        return index

    def parameters(self, faiss: Any, **selector: Any) -> Any:
        return faiss.SearchParametersHNSW(efSearch=BREADTH, **selector)


class Hnswlib(Contender):
    """The graph of those who invented it."""

    name, family, needs = "hnswlib", "hnswlib", ("hnswlib",)
    is_exact, most, lifts = False, SMALL, True

    def build(self, gallery: Gallery) -> None:
        import hnswlib

        self.parts = [frozenset(ids.tolist()) for ids in gallery.parts]
        self.index = hnswlib.Index("l2", gallery.vectors.shape[1])
        self.index.init_index(len(gallery.vectors), ef_construction=200, M=16)
        self.index.add_items(gallery.vectors, num_threads=1)
        self.index.set_ef(BREADTH)

    def search(self, query: FloatArray, k: int) -> list[int]:
        return self.search_many(query, k)[0]

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        kept = self.parts[part].__contains__
        return self.index.knn_query(query, k, num_threads=1, filter=kept)[0][0].tolist()

    def search_many(self, queries: FloatArray, k: int) -> list[list[int]]:
        return self.index.knn_query(queries, k, num_threads=1)[0].tolist()
