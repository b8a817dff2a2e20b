"""Pixels that are no image: what fills the frame around a round field or a rotated volume (PS3.3 C.7.5.1.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values


def padding_mask(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    """Where the padding is.

    Args:
        stored: (rows, columns), stored values, before any modality transformation.

    Returns:
        bool (rows, columns), True for Pixel Padding Value, or all from it to Pixel Padding Range Limit; None where
        the object names no padding or none is there.
    """
    low = _as_stored(_padding(dataset, stored, ""), stored)
    if low is None:
        return None
    high = _as_stored(_padding(dataset, stored, "Limit"), stored)
    if high is None:
        high = low
    mask = (stored >= min(low, high)) & (stored <= max(low, high))
    return mask if mask.any() else None


def _padding(dataset: Dataset, stored: npt.NDArray[Any], suffix: str) -> float | None:
    kind = {"f4": "Float", "f8": "DoubleFloat"}.get(stored.dtype.str[1:], "")
    keyword = f"{kind}PixelPadding{'RangeLimit' if suffix else 'Value'}"
    return values.number(dataset, keyword)


def _as_stored(value: float | None, stored: npt.NDArray[Any]) -> Any:
    """The value as a number of the pixels' dtype: writers confuse 63536 with -2000, which are the same 16 bits."""
    if value is None or stored.dtype.kind == "f":
        return value
    return np.int64(value).astype(stored.dtype)
