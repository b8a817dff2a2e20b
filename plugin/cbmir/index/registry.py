"""The kinds of index there are, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy.typing as npt

from cbmir.errors import NotFound
from cbmir.index import exact, hnsw
from cbmir.index.base import Index

DEFAULT = "exact"
BACKENDS: Mapping[str, Callable[[npt.ArrayLike, npt.ArrayLike], Index]] = MappingProxyType(
    {DEFAULT: exact.build, "hnsw": hnsw.build}
)


def build(ids: npt.ArrayLike, vectors: npt.ArrayLike, backend: str = DEFAULT) -> Index:
    """An index over features.

    Args:
        ids: int64 (n,), each once, in any order.
        vectors: float32 (n, d), finite, in the order of the ids.
        backend: one of `BACKENDS`.

    Raises:
        cbmir.errors.NotFound: if there is no such backend.
        cbmir.errors.EncoderMismatch: if the vectors are not a table of one width.
        cbmir.errors.BadRequest: if an id comes twice or a vector holds NaN or infinity.
    """
    if backend not in BACKENDS:
        raise NotFound(f"There is no index called {backend!r}.", f"Choose one of: {', '.join(BACKENDS)}.")
    return BACKENDS[backend](ids, vectors)
