"""What every index can do, whatever it is made of."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray, IdArray

Ranking = list[tuple[int, float]]
"""(id, Euclidean distance) of each member found, nearest first; equal distances in the order of the ids."""


class Index(Protocol):
    """Features under their ids, searched by Euclidean distance. Made by `cbmir.index.registry.build`.

    Attributes:
        dimension: numbers in one feature.
        is_exact: whether the answer is provably the true one; an approximate index may miss members.
    """

    @property
    def dimension(self) -> int: ...

    @property
    def is_exact(self) -> bool: ...

    def __len__(self) -> int:
        """How many features it holds."""

    def members(self) -> IdArray:
        """The ids that it holds: int64 (n,), ascending."""

    def contains(self, ids: IdArray) -> npt.NDArray[np.bool_]:
        """Which of some ids, int64 (m,), it holds: bool (m,)."""

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """The k nearest members of each query.

        Args:
            queries: float32, shape (q, dimension), finite.
            k: at least 1; where fewer members are there, all of them are the answer.
            allowed: int64, ascending and without repetition: only these ids are searched, as if there were no
                others; ids that the index does not hold are passed over. None searches all.

        Returns:
            One ranking a query, in the queries' order.

        Raises:
            cbmir.errors.EncoderMismatch: if the queries are not of the index's dimension.
            cbmir.errors.BadRequest: if k is below 1 or a query holds NaN or infinity.
        """


def answers(distances: npt.NDArray[np.float64], ids: IdArray) -> list[Ranking]:
    """Rankings from tables of distances and ids, both (q, k), nearest first."""
    return [list(zip(*row, strict=True)) for row in zip(ids.tolist(), distances.tolist(), strict=True)]
