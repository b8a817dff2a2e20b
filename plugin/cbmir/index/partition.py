"""Members put into cells of equal size: halved at the median of the axis of the largest spread, over and over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

Rows = npt.NDArray[np.int64]

LOOKED_AT = 1024
"""Members of a part, about, of which the spread is taken."""


def order(coordinates: FloatArray, size: int) -> Rows:
    """The rows in the order of the cells: int64 (n,); each `size` of them are one, the last may be less.

    Args:
        coordinates: float32 (n, m).
        size: of a cell.
    """
    rows = np.arange(len(coordinates))
    parts = [(0, len(rows))]
    while parts:
        start, end = parts.pop()
        if end - start > size:
            middle = start + _half(end - start, size)
            _split(coordinates, rows[start:end], middle - start)
            parts += [(start, middle), (middle, end)]
    return rows


def _half(count: int, size: int) -> int:
    """About half, in whole cells."""
    return -(-count // size) // 2 * size


def _split(coordinates: FloatArray, rows: Rows, middle: int) -> None:
    """Put the rows in place that are lowest on the widest axis in front."""
    some = coordinates[rows[:: max(1, len(rows) // LOOKED_AT)]]
    values = coordinates[rows, some.var(axis=0).argmax()]
    rows[:] = rows[np.argpartition(values, middle)]
