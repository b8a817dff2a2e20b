"""The grey scale of pictures that do not say how they want to be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

LOW, HIGH = 0.5, 99.5
"""Percentiles that become black and white: half a percent of the pixels, at either end, may be outliers."""

SAMPLES = 1_000_000
"""Percentiles are taken over at most about so many pixels, evenly spaced: enough for a thousandth of the range."""


def robust_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """The values that become black and white.

    Args:
        values: pixels of any shape and real dtype; NaN and infinities do not count.

    Returns:
        (low, high) with low < high: the percentiles `LOW` and `HIGH`; the extremes where these fall together, as
        in a mask that is nearly empty; (value, value + 1) for a flat picture and (0, 1) for one without a number.
    """
    counted = values.reshape(-1)
    counted = counted[:: max(1, counted.size // SAMPLES)]
    counted = counted[np.isfinite(counted)]
    if not counted.size:
        return 0.0, 1.0
    low, high = (float(each) for each in np.percentile(counted, (LOW, HIGH)))
    if low == high:
        low, high = float(counted.min()), float(counted.max())
    return (low, high) if low < high else (low, low + 1.0)


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
    np.clip(shown, 0.0, 1.0, out=shown)
    return np.asarray(np.nan_to_num(shown, copy=False, nan=0.0), np.float32)
