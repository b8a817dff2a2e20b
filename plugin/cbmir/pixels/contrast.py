"""The grey scale of pictures that do not say how they want to be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.types import ByteArray, FloatArray

LOW, HIGH = 0.5, 99.5
"""Percentiles that become black and white: half a percent of the pixels, at either end, may be outliers."""

SAMPLES = 1_000_000
"""Percentiles are taken over at most about so many pixels, evenly spaced: enough for a thousandth of the range."""


def robust_range(values: npt.NDArray[Any], percentiles: tuple[float, float] = (LOW, HIGH)) -> tuple[float, float]:
    """The values that become black and white.

    Args:
        values: pixels of any shape and real dtype; NaN and infinities do not count.
        percentiles: of the values, low before high.

    Returns:
        (low, high) with low < high: the percentiles; the extremes where these fall together, as in a mask that is
        nearly empty; (value, value + 1) for a flat picture and (0, 1) for one without a number.
    """
    counted = sampled(values)
    counted = counted[np.isfinite(counted)]
    if not counted.size:
        return 0.0, 1.0
    low, high = (float(each) for each in np.percentile(counted, percentiles))
    return apart((low, high), float(counted.min()), float(counted.max()))


def counted_range(
    values: npt.NDArray[Any], counts: npt.NDArray[np.int64], percentiles: tuple[float, float] = (LOW, HIGH)
) -> tuple[float, float]:
    """`robust_range` of a histogram: exact, and without a look at any pixel.

    Args:
        values: (n,), the distinct values, in any order.
        counts: (n,), how often each is there; 0 keeps it out.
        percentiles: of the pixels, low before high.
    """
    order = np.argsort(values, kind="stable")
    ordered, below = values[order], np.cumsum(counts[order])
    total = int(below[-1]) if below.size else 0
    if not total:
        return 0.0, 1.0

    def at(percentile: float) -> float:
        place, share = divmod(percentile / 100 * (total - 1), 1)
        one, other = (ordered[np.searchsorted(below, rank, "right")] for rank in (place, min(place + 1, total - 1)))
        return float(one) + share * (float(other) - float(one))

    return apart((at(percentiles[0]), at(percentiles[1])), at(0), at(100))


def apart(wanted: tuple[float, float], lowest: float, highest: float) -> tuple[float, float]:
    """The range that is wanted, else the whole one, else one above the only value: low < high."""
    low, high = wanted if wanted[0] < wanted[1] else (lowest, highest)
    return (low, high) if low < high else (low, low + 1.0)


def sampled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """At most about `SAMPLES` of the values, evenly spaced, in one dimension."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLES)]


def stretch(values: npt.NDArray[Any], low: float, high: float) -> FloatArray:
    """Map low to 0 and high to 1, linearly.

    Args:
        values: any shape, any real dtype.
        low, high: in the unit of `values`; low < high.

    Returns:
        float32 of the same shape in [0, 1]; NaN becomes 0.
    """
    working = np.float32 if values.dtype.itemsize <= 2 else np.float64
    shown: npt.NDArray[Any] = values.astype(working)
    np.subtract(shown, low, out=shown)
    np.divide(shown, high - low, out=shown)
    return np.asarray(_within(shown), np.float32)


def _within(shown: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array, clipped to [0, 1]; NaN, which these two functions pass over, becomes 0."""
    np.fmax(shown, 0.0, out=shown)
    np.fmin(shown, 1.0, out=shown)
    return shown


def to_bytes(pixels: FloatArray) -> ByteArray:
    """Quantise to 256 levels, rounding to the nearest.

    Args:
        pixels: any shape, in [0, 1]; what lies outside is clipped, NaN is black.

    Returns:
        uint8 of the same shape.
    """
    scaled = _within(pixels.copy())
    np.multiply(scaled, 255.0, out=scaled)
    np.add(scaled, 0.5, out=scaled)
    return scaled.astype(np.uint8)
