"""What of a picture drives its similarity to another: cover it part by part, and see how the distance changes.

Any encoder will do: it is only asked for features. The cost is bounded: `CELLS` x `CELLS` covered copies a picture,
whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.types import FloatArray

CELLS = 16
"""Cells along a side of the map."""

REACH = 1
"""A window covers its cell and so many around it: 3 x 3 cells, less at the border. Single cells hide too little to
change a feature, larger windows tell less of where."""

AT_ONCE = 64
"""Covered copies that are encoded together."""

Distances = npt.NDArray[np.float64]

Encode = Callable[[FloatArray], FloatArray]
"""Prepared pictures, float32 (n, channels, side, side), to features, float32 (n, d)."""


def drive(encode: Encode, prepared: FloatArray, other: FloatArray) -> FloatArray:
    """How much each part of a picture holds it near another one.

    Args:
        encode: gives features.
        prepared: the picture as the encoder takes it: float32 (channels, side, side), side at least 16.
        other: the other picture's feature: float32 (d,).

    Returns:
        float32 (16, 16), rows first: by how much the Euclidean distance grows when the cell and its neighbours are
        covered. Above 0 what is there makes the two alike, below 0 it sets them apart.
    """
    hidden = blurred(prepared)
    near = _distance(encode(prepared[np.newaxis]), other)[0]
    places = [(row, column) for row in range(CELLS) for column in range(CELLS)]
    grown = [
        _distance(encode(_covered(prepared, hidden, places[start : start + AT_ONCE])), other) - near
        for start in range(0, len(places), AT_ONCE)
    ]
    return _shared(np.concatenate(grown).reshape(CELLS, CELLS))


def blurred(prepared: FloatArray) -> FloatArray:
    """A picture without detail: what stands where it is covered. A grey patch would be a shape of its own.

    Args:
        prepared: float32 (channels, side, side).

    Returns:
        The same shape: means of a quarter of the side, with soft transitions.
    """
    side, coarse = prepared.shape[-1], 4
    layers = [Image.fromarray(layer, "F").resize((coarse, coarse), Image.Resampling.BOX) for layer in prepared]
    return np.stack([np.asarray(layer.resize((side, side), Image.Resampling.BILINEAR)) for layer in layers])


def edges(side: int) -> list[int]:
    """Where the cells along a side of so many pixels begin, and where the last one ends: 17 numbers."""
    return [round(cell * side / CELLS) for cell in range(CELLS + 1)]


def _covered(prepared: FloatArray, hidden: FloatArray, places: list[tuple[int, int]]) -> FloatArray:
    """A copy for each place, covered there: float32 (n, channels, side, side)."""
    bounds = edges(prepared.shape[-1])
    copies = np.repeat(prepared[np.newaxis], len(places), axis=0)
    for copy, (row, column) in zip(copies, places, strict=True):
        rows, columns = _window(row, bounds), _window(column, bounds)
        copy[:, rows, columns] = hidden[:, rows, columns]
    return copies


def _window(cell: int, bounds: list[int]) -> slice:
    return slice(bounds[max(cell - REACH, 0)], bounds[min(cell + REACH, CELLS - 1) + 1])


def _shared(grown: Distances) -> FloatArray:
    """Each cell's mean over the windows that cover it."""
    padded = np.pad(grown, REACH, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH + 1, 2 * REACH + 1))
    return np.asarray(np.nanmean(around, axis=(2, 3)), np.float32)


def _distance(features: FloatArray, other: FloatArray) -> Distances:
    return np.asarray(np.linalg.norm(features.astype(np.float64) - other, axis=1))
