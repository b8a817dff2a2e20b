"""What a few lines of Python or NumPy do."""

from __future__ import annotations

import json
import math
import tempfile

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray, IdArray
from contenders.base import Contender, Gallery

BLOCK = 8192
"""Vectors that a batch is compared with at a time, so that the products stay in the cache."""
LEADING = 24
"""Principal axes of the bound."""
ROUNDING = 1e-5
"""Of the squared lengths: more than float32 gets wrong in a sum of so few products."""


def nearest(values: FloatArray, k: int) -> IdArray:
    """Where the k least are, in their order."""
    found = np.argpartition(values, k - 1)[:k]
    return found[np.argsort(values[found])]


class PapersLoop(Contender):
    """The index as the paper has it: read from a JSON file, then compared one by one."""

    name, family, most = "paper: JSON and a loop", "paper", 50_000

    def build(self, gallery: Gallery) -> None:
        with tempfile.TemporaryFile("w+") as file:
            rows = enumerate(gallery.vectors.tolist())
            json.dump([{"file": f"{row}.png", "feature": vector} for row, vector in rows], file)
            file.seek(0)
            self.rows = json.load(file)

    def search(self, query: FloatArray, k: int) -> list[int]:
        asked = query.tolist()
        distances = [
            math.sqrt(sum((a - b) ** 2 for a, b in zip(row["feature"], asked, strict=True))) for row in self.rows
        ]
        return sorted(range(len(distances)), key=distances.__getitem__)[:k]


class Norms(Contender):
    """|x|^2 - 2 q.x of all, the squared norms being kept as one more column; of a batch block by block, where only
    those come into question that are as near as the k nearest of the first block."""

    name, family = "NumPy, norms kept", "numpy"

    def build(self, gallery: Gallery) -> None:
        squares = np.einsum("ij,ij->i", gallery.vectors, gallery.vectors)
        self.table, self.parts = np.column_stack([gallery.vectors, squares]), gallery.parts

    def search(self, query: FloatArray, k: int) -> list[int]:
        return nearest(self.table @ _multiplied(query), k).tolist()

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        ids = self.parts[part]
        return ids[nearest(self.table[ids] @ _multiplied(query), k)].tolist()

    def search_many(self, queries: FloatArray, k: int) -> list[list[int]]:
        asked = _multiplied(queries)
        reach = np.partition(asked @ self.table[:BLOCK].T, k - 1, axis=1)[:, k - 1 : k]
        starts = range(0, len(self.table), BLOCK)
        found = [self._in_reach(asked, reach, start) for start in starts]
        askers, ids, values = (np.concatenate(each) for each in zip(*found, strict=True))
        own = (np.flatnonzero(askers == asker) for asker in range(len(queries)))
        return [ids[rows[nearest(values[rows], k)]].tolist() for rows in own]

    def _in_reach(self, asked: FloatArray, reach: FloatArray, start: int) -> tuple[IdArray, IdArray, FloatArray]:
        """Who asks, whom it finds, and how near, in one block."""
        values = asked @ self.table[start : start + BLOCK].T
        askers, rows = np.nonzero(values <= reach)
        return askers, rows + start, values[askers, rows]


def _multiplied(queries: FloatArray) -> FloatArray:
    """What the table is multiplied with: float32 (..., d + 1)."""
    return np.concatenate([-2 * queries, np.ones_like(queries[..., :1])], axis=-1)


class PcaBound(Contender):
    """Distances along the leading principal axes, which are never above the true ones; who is in reach by them is
    measured along all."""

    name, family = "NumPy, PCA bound", "numpy"

    def build(self, gallery: Gallery) -> None:
        self.vectors = gallery.vectors
        _, directions = np.linalg.eigh(np.cov(gallery.vectors, rowvar=False))
        self.axes = directions[:, : -LEADING - 1 : -1].astype(np.float32)
        self.leading = self.vectors @ self.axes
        self.squares = np.einsum("ij,ij->i", self.leading, self.leading)
        self.slack = ROUNDING * float(np.einsum("ij,ij->i", self.vectors, self.vectors).max())

    def search(self, query: FloatArray, k: int) -> list[int]:
        along = query @ self.axes
        bounds = self.squares - 2 * (self.leading @ along)
        likely = np.argpartition(bounds, k - 1)[:k]
        reach = self._measured(likely, query).max() - along @ along + self.slack + ROUNDING * query @ query
        rows = np.flatnonzero(bounds <= reach)
        return rows[nearest(self._measured(rows, query), k)].tolist()

    def _measured(self, rows: IdArray, query: FloatArray) -> npt.NDArray[np.float64]:
        return ((self.vectors[rows].astype(np.float64) - query) ** 2).sum(axis=1)
