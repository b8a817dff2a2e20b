"""Lines on a raster, smooth at their edges, without a plotting library."""

from __future__ import annotations

import numpy as np

from cbmir.types import FloatArray

THICKNESS = 1.0
"""Of a line, in pixels."""

SAMPLES_PER_COLUMN = 4
"""At least so many points make the line within one column."""


def draw(heights: FloatArray, *, width: int, side: int) -> FloatArray:
    """Draw each channel as a line around the middle of its own horizontal strip.

    Args:
        heights: (time, channels), upwards, in strips: 1 reaches the next channel's baseline. NaN leaves a gap.
        width: columns that the whole time takes, 1 to `side`.
        side: rows and columns of the picture.

    Returns:
        float32 (side, side) in [0, 1]: how much of each pixel the lines cover.
    """
    canvas = np.zeros((side, side), np.float32)
    strip = side / heights.shape[1]
    for channel in range(heights.shape[1]):
        rows = (channel + 0.5 - heights[:, channel].astype(np.float64)) * strip
        canvas[:, :width] = np.maximum(canvas[:, :width], _line(rows, width, side))
    return canvas


def _line(rows: FloatArray, width: int, side: int) -> FloatArray:
    """Coverage, (side, width), of a line that runs through the given rows at even distances."""
    top, bottom = _extent(_resample(rows, width))
    edges = np.arange(side, dtype=np.float32)[:, None]
    covered = np.minimum(edges + 1, bottom + THICKNESS / 2) - np.maximum(edges, top - THICKNESS / 2)
    return np.asarray(np.nan_to_num(np.clip(covered, 0, 1)), np.float32)


def _resample(rows: FloatArray, width: int) -> FloatArray:
    """(width, points a column): interpolated to at least as many as there are."""
    per_column = max(SAMPLES_PER_COLUMN, -(-len(rows) // width))
    at = np.linspace(0, len(rows) - 1, width * per_column)
    points = np.interp(at, np.arange(len(rows)), rows)
    return np.asarray(points, np.float32).reshape(width, per_column)


def _extent(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The highest and lowest row of the line in each column, joined to where the column before ended."""
    joined = np.concatenate([points, np.vstack([points[:1, :1], points[:-1, -1:]])], axis=1)
    return np.min(joined, axis=1), np.max(joined, axis=1)
