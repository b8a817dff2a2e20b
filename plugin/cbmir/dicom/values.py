"""Reading single elements: what must be there and make sense, and what is merely a hint."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from cbmir.dicom.boundary import RESEND
from cbmir.dicom.watched import explodes
from cbmir.errors import BrokenFile

MAX_LIST = 1 << 18
"""Bytes of a value that is a list of numbers or words: twice the largest look-up table (PS3.3 C.11.1.1)."""

PLAIN = ("OB", "OW", "OF", "OD", "OL", "OV", "UN", "US or OW", "OB or OW")
"""Value representations of values that stay the bytes that they are (PS3.5 6.2)."""


def text(dataset: Dataset, keyword: str, default: str = "") -> str:
    """The element's (first) value as text, without padding; `default` where it is absent, empty or unreadable."""
    found = _first(dataset, keyword)
    return default if found is None else str(found).strip("\0 ") or default


def number(dataset: Dataset, keyword: str) -> float | None:
    """The element's (first) value; None where it is absent, empty, no number or not finite."""
    try:
        found = float(_first(dataset, keyword))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All the element's values; empty where it is absent or any of them is no number."""
    try:
        found = value(dataset, keyword)
        return [float(each) for each in (found if isinstance(found, MultiValue | list | tuple) else [found])]
    except (TypeError, ValueError, OverflowError):
        return []


def integer(dataset: Dataset, keyword: str, name: str, default: int | None = None) -> int:
    """The element's (first) value as a whole number.

    Raises:
        cbmir.errors.BrokenFile: if it is no whole number, or absent where there is no default.
    """
    found = _first(dataset, keyword)
    if found is None and default is not None:
        return default
    try:
        return int(found)
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"{name} has no usable {keyword}: {'absent' if found is None else 'not a whole number'}."
        raise BrokenFile(reason, RESEND) from error


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent or no sequence."""
    found = value(dataset, keyword)
    return list(found) if isinstance(found, Sequence) else []


def octets(dataset: Dataset, keyword: str) -> bytes:
    """The element's value as it lies in the file; empty where it is absent."""
    found = value(dataset, keyword)
    return found if isinstance(found, bytes) else b""


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value as pydicom gives it; None where it is absent.

    By tag, and among the keys, since pydicom looks a keyword up through its attributes: ten times as long.
    """
    return at(dataset, _tag(keyword))


def at(dataset: Dataset, tag: BaseTag) -> Any:
    """The value of the element with this tag; None where it is absent.

    One is taken for absent that would become Python objects without end: of two bytes in the file, "1\\", three
    hundred in memory.
    """
    found: Any = dataset.get_item(tag)
    if not isinstance(found, RawDataElement):
        return None if found is None else found.value
    if len(found.value or b"") > MAX_LIST and _explodes(found):
        return None
    return dataset[tag].value


def _explodes(raw: RawDataElement) -> bool:
    """Whether a large value is text, numbers or items, more than its bytes explain."""
    kind = _kind(raw)
    return explodes(raw.value or b"") if kind == "SQ" else kind not in PLAIN


def _kind(raw: RawDataElement) -> str:
    """The value representation; where the file leaves it open, by the dictionary."""
    if raw.VR and raw.VR != "UN":
        return raw.VR
    return dictionary_VR(raw.tag) if dictionary_has_tag(raw.tag) else "UN"


@cache
def _tag(keyword: str) -> BaseTag:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return Tag(tag)


def _first(dataset: Dataset, keyword: str) -> Any:
    """The first value; None where it is absent, empty, or so damaged that pydicom refuses it (a ValueError)."""
    try:
        found = value(dataset, keyword)
    except (ValueError, TypeError, OverflowError):
        return None
    if isinstance(found, MultiValue | list | tuple):
        return found[0] if len(found) else None
    return found
