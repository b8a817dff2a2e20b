"""The k nearest found so far, compiled: a heap whose first place holds the worst of them.

An answer is a pair of arrays, distances float64 (k,) and ids int64 (k,), and how many of the places are taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled
from cbmir.types import IdArray

DoubleArray = npt.NDArray[np.float64]


@compiled
def is_worse(distance: float, id: int, other_distance: float, other_id: int) -> bool:
    """Whether the first comes after the other: it is farther, or as far with a higher id."""
    return distance > other_distance or (distance == other_distance and id > other_id)


@compiled
def take(distances: DoubleArray, ids: IdArray, taken: int, distance: float, id: int) -> int:
    """Put one in if there is room or it is better than the worst, which then leaves; how many places are taken."""
    if taken < distances.shape[0]:
        _rise(distances, ids, taken, distance, id)
        return taken + 1
    if is_worse(distances[0], ids[0], distance, id):
        _sink(distances, ids, taken, distance, id)
    return taken


@compiled
def _rise(distances: DoubleArray, ids: IdArray, place: int, distance: float, id: int) -> None:
    while place > 0:
        above = (place - 1) >> 1
        if not is_worse(distance, id, distances[above], ids[above]):
            break
        distances[place], ids[place] = distances[above], ids[above]
        place = above
    distances[place], ids[place] = distance, id


@compiled
def _sink(distances: DoubleArray, ids: IdArray, taken: int, distance: float, id: int) -> None:
    place = 0
    while True:
        below = 2 * place + 1
        if below + 1 < taken and is_worse(distances[below + 1], ids[below + 1], distances[below], ids[below]):
            below += 1
        if below >= taken or not is_worse(distances[below], ids[below], distance, id):
            break
        distances[place], ids[place] = distances[below], ids[below]
        place = below
    distances[place], ids[place] = distance, id


@compiled
def put_in_order(distances: DoubleArray, ids: IdArray, taken: int) -> None:
    """Sort the heap in place, nearest first: the worst is taken out and put behind the rest, again and again."""
    for last in range(taken - 1, 0, -1):
        distance, id = distances[last], ids[last]
        distances[last], ids[last] = distances[0], ids[0]
        _sink(distances, ids, last, distance, id)
