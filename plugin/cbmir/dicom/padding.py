"""Pixels that are no image: what fills the frame around a round field or a rotated volume (PS3.3 C.7.5.1.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values


@dataclass(frozen=True)
class Padding:
    """Stored values from `low` to `high`, both included, as numbers of the pixels' own dtype."""

    low: Any
    high: Any

    def mask(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Where the padding is among stored values of any shape, before any modality transformation."""
        return np.asarray((stored >= self.low) & (stored <= self.high))

    @property
    def said(self) -> str:
        """In words."""
        span = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"padding made black: {span}"


def read_padding(dataset: Dataset, dtype: np.dtype[Any]) -> Padding | None:
    """Pixel Padding Value, or all from it to Pixel Padding Range Limit; None where the object names none.

    Args:
        dataset: the object's header.
        dtype: of the stored values.
    """
    kind = {"f4": "Float", "f8": "DoubleFloat"}.get(dtype.str[1:], "")
    low = _as_stored(values.number(dataset, f"{kind}PixelPaddingValue"), dtype)
    if low is None:
        return None
    high = _as_stored(values.number(dataset, f"{kind}PixelPaddingRangeLimit"), dtype)
    return Padding(low, low) if high is None else Padding(min(low, high), max(low, high))


def _as_stored(value: float | None, dtype: np.dtype[Any]) -> Any:
    """The value as a number of the pixels' dtype; None where none of them can be it.

    Writers confuse 63536 with -2000, which are the same 16 bits. Where bytes were made from a CT they may have kept
    its -2000, which no byte is.
    """
    if value is None or dtype.kind == "f":
        return value
    bits = 8 * dtype.itemsize
    return np.int64(value).astype(dtype) if -(1 << bits - 1) <= value < 1 << bits else None
