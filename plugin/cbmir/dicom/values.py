"""Reading single elements: what must be there and make sense, and what is merely a hint."""

from __future__ import annotations

import math
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.multival import MultiValue

from cbmir.dicom.boundary import RESEND
from cbmir.errors import BrokenFile


def text(dataset: Dataset, keyword: str, default: str = "") -> str:
    """The element's (first) value as text, without padding; `default` where it is absent, empty or unreadable."""
    value = _first(dataset, keyword)
    return default if value is None else str(value).strip("\0 ") or default


def number(dataset: Dataset, keyword: str) -> float | None:
    """The element's (first) value; None where it is absent, empty, no number or not finite."""
    try:
        value = float(_first(dataset, keyword))
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All the element's values; empty where it is absent or any of them is no number."""
    try:
        value = dataset.get(keyword)
        return [float(each) for each in (value if isinstance(value, MultiValue | list | tuple) else [value])]
    except (TypeError, ValueError, OverflowError):
        return []


def integer(dataset: Dataset, keyword: str, name: str, default: int | None = None) -> int:
    """The element's (first) value as a whole number.

    Raises:
        cbmir.errors.BrokenFile: if it is no whole number, or absent where there is no default.
    """
    value = _first(dataset, keyword)
    if value is None and default is not None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"{name} has no usable {keyword}: {'absent' if value is None else 'not a whole number'}."
        raise BrokenFile(reason, RESEND) from error


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent or no sequence."""
    value = dataset.get(keyword)
    return list(value) if isinstance(value, Sequence) else []


def octets(dataset: Dataset, keyword: str) -> bytes:
    """The element's value as it lies in the file; empty where it is absent."""
    value = dataset.get(keyword)
    return value if isinstance(value, bytes) else b""


def _first(dataset: Dataset, keyword: str) -> Any:
    """The first value; None where it is absent, empty, or so damaged that pydicom refuses it (a ValueError)."""
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, OverflowError):
        return None
    if isinstance(value, MultiValue | list | tuple):
        return value[0] if len(value) else None
    return value
