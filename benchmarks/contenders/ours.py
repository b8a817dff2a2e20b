"""cbmir's own indexes."""

from __future__ import annotations

import numpy as np

from cbmir.index import exact, hnsw
from cbmir.index.base import Index
from cbmir.types import FloatArray
from contenders.base import SMALL, Contender, Gallery


class _Ours(Contender):
    family = "cbmir"
    index: Index

    def search(self, query: FloatArray, k: int) -> list[int]:
        return self.search_many(query[np.newaxis], k)[0]

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        return [id for id, _ in self.index.search(query[np.newaxis], k, self.parts[part])[0]]

    def search_many(self, queries: FloatArray, k: int) -> list[list[int]]:
        return [[id for id, _ in ranking] for ranking in self.index.search(queries, k)]


class Exact(_Ours):
    """The default index."""

    name = "cbmir exact"

    def build(self, gallery: Gallery) -> None:
        self.parts = gallery.parts
        self.index = exact.build(np.arange(len(gallery.vectors)), gallery.vectors)


class Hnsw(_Ours):
    """The approximate index."""

    name, is_exact = "cbmir hnsw", False
    needs, most, lifts = ("faiss",), SMALL, True

    def build(self, gallery: Gallery) -> None:
        self.parts = gallery.parts
        self.index = hnsw.build(np.arange(len(gallery.vectors)), gallery.vectors)
