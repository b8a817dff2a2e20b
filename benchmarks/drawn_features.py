"""Features for benchmarks: drawn, or like those that an encoder of yours gave.

drawn: 200 clusters, of which eight directions hold most of the spread, as an autoencoder's features. noise:
Gaussian, independent. like stored ones: mixtures of each feature with one of the eight nearest to it, at a place
between them drawn evenly, and Gaussian noise of a twentieth of their distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cbmir.index import exact
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.document_stream import Document
from cbmir.store.session import Database
from cbmir.types import FloatArray

WIDTH = 48
NEAREST = 8
ROWS_AT_ONCE = 10_000

Draw = Callable[[int, int], FloatArray]
"""Features by their number and a seed."""


def drawn(count: int, seed: int) -> FloatArray:
    """float32 (count, 48): clusters of low intrinsic dimension."""
    shape, random = np.random.default_rng(7), np.random.default_rng(seed)
    centres, directions = shape.normal(size=(200, WIDTH)), shape.normal(size=(8, WIDTH))
    features = centres[random.integers(0, 200, count)].astype(np.float32)
    features += (random.normal(size=(count, 8)) @ directions * 0.3).astype(np.float32)
    return features + random.normal(scale=0.05, size=(count, WIDTH)).astype(np.float32)


def noise(count: int, seed: int) -> FloatArray:
    """float32 (count, 48): independent."""
    return np.random.default_rng(seed).standard_normal((count, WIDTH), dtype=np.float32)


def stored(source: Path) -> FloatArray:
    """Features as they are, float32 (n, d), from a NumPy file, a JSON document that `cbmir export` wrote, or the
    data folder of an installation on SQLite: there those of the encoder in use."""
    if source.is_dir():
        return _of_installation(source)
    return _of_document(source) if source.suffix == ".json" else np.load(source).astype(np.float32)


def _of_installation(folder: Path) -> FloatArray:
    database = Database(Settings(data=folder).resolved_database_url)
    with database.read() as session:
        _, vectors = features.matrix(session, encoders.resolve(session, None).id)
    database.dispose()
    return vectors


def _of_document(path: Path) -> FloatArray:
    with path.open("rb") as source:
        document = Document(source)
        data = b"".join(row.vector for batch in document.batches(ROWS_AT_ONCE) for row in batch)
    return np.frombuffer(data, "<f4").reshape(-1, document.encoder["dimension"]).astype(np.float32)


def like(vectors: FloatArray) -> Draw:
    """Draws as many features like these, float32 (n, d), as are wanted."""
    rankings = exact.build(np.arange(len(vectors)), vectors).search(vectors, NEAREST + 1)
    near = np.array([[id for id, _ in found] for found in rankings])[:, 1:]

    def draw(count: int, seed: int) -> FloatArray:
        random = np.random.default_rng(seed)
        chosen = random.integers(0, len(vectors), count)
        others = vectors[near[chosen, random.integers(0, near.shape[1], count)]]
        between = random.random((count, 1), dtype=np.float32)
        apart = np.linalg.norm(others - vectors[chosen], axis=1, keepdims=True) / 20 / math.sqrt(vectors.shape[1])
        jitter = random.standard_normal(others.shape, dtype=np.float32) * apart
        return vectors[chosen] + between * (others - vectors[chosen]) + jitter

    return draw
