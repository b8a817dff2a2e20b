"""The deletion test: is a map of what drives a similarity true? What it calls important is taken away first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

Order = npt.NDArray[np.int64]
Delete = Callable[[Order], FloatArray]
"""The feature, float32 (d,), of the picture without these cells, given by their numbers, rows first."""

SHARES = tuple(step / 20 for step in range(1, 11))
"""Of all cells, 5 % to 50 %: how much is taken away at each step."""

DRAWS = 5
"""Orders by chance that the map's is compared with."""


@dataclass(frozen=True)
class Deleted:
    """How the distance to the other picture grows, as a mean over `SHARES`, in parts of the first distance.

    Attributes:
        by_map: cells taken away in the order of the map, the strongest first.
        by_chance: in an order by chance, the mean of `DRAWS`.
        by_map_reversed: the weakest first.
    """

    by_map: float
    by_chance: float
    by_map_reversed: float


def deletion(delete: Delete, drive: FloatArray, other: FloatArray, seed: int = 0) -> Deleted:
    """Take cells away in the order of a map, in one by chance, and in the reverse one.

    Args:
        delete: gives the feature of what is left.
        drive: the map, float32 (cells, cells).
        other: the other picture's feature, float32 (d,).
        seed: of the orders by chance.
    """
    strongest = np.argsort(-drive, axis=None, kind="stable")
    noise = np.random.default_rng(seed)
    near = float(np.linalg.norm(delete(strongest[:0]) - other)) or 1.0

    def area(order: Order) -> float:
        steps = [delete(order[: round(share * len(order))]) for share in SHARES]
        return float(np.mean([np.linalg.norm(feature - other) for feature in steps])) / near - 1

    chance = [area(noise.permutation(strongest)) for _ in range(DRAWS)]
    return Deleted(area(strongest), float(np.mean(chance)), area(strongest[::-1]))
