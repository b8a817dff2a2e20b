"""Reading single elements: what must be there and make sense, and what is merely a hint."""

from __future__ import annotations

import math
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.datadict import keyword_dict
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from cbmir.dicom import raw
from cbmir.dicom.boundary import RESEND
from cbmir.dicom.elements import TAGS
from cbmir.dicom.watched import explodes
from cbmir.errors import BrokenFile

MAX_LIST = 1 << 18
"""Bytes of a value that is a list of numbers or words: twice the largest look-up table (PS3.3 C.11.1.1)."""

PLAIN = ("OB", "OW", "OF", "OD", "OL", "OV", "UN", "US or OW", "OB or OW")
"""Value representations of values that stay the bytes that they are (PS3.5 6.2)."""


_TAGS = {keyword: TAGS[number] for keyword, number in keyword_dict.items()}


def text(dataset: Dataset, keyword: str, default: str = "") -> str:
    """The element's (first) value as text, without padding; `default` where it is absent, empty or unreadable."""
    element = _element(dataset, keyword)
    if element is None:
        return default
    found = raw.text(element)
    if found is None:
        found = _first(dataset, element)
    return default if found is None else str(found).strip("\0 ") or default


def term(dataset: Dataset, keyword: str, default: str = "") -> str:
    """The same of a code string, in capitals, as all terms are (PS3.5 6.2): some writers use small letters."""
    return text(dataset, keyword, default).upper()


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """All the element's values as text, without padding; empty where it is absent, empty or unreadable."""
    element = _element(dataset, keyword)
    try:
        found = raw.texts(element) or _value(dataset, element)
    except (ValueError, TypeError, OverflowError):
        return []
    several = found if isinstance(found, MultiValue | list | tuple) else [found or ""]
    return [str(each).strip("\0 ") for each in several] if any(several) else []


def number(dataset: Dataset, keyword: str) -> float | None:
    """The element's (first) value; None where it is absent, empty, no number or not finite."""
    first = _first_number(dataset, keyword)
    try:
        found = math.nan if first is None else float(first)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All the element's values; empty where it is absent or any of them is no number."""
    element = _element(dataset, keyword)
    if element is None:
        return []
    try:
        found = raw.numbers(element) or _value(dataset, element)
        return [float(each) for each in (found if isinstance(found, MultiValue | list | tuple) else [found])]
    except (TypeError, ValueError, OverflowError):
        return []


def integer(dataset: Dataset, keyword: str, name: str, default: int | None = None) -> int:
    """The element's (first) value as a whole number.

    Raises:
        cbmir.errors.BrokenFile: if it is no whole number, or absent where there is no default.
    """
    found = _first_number(dataset, keyword)
    if found is None and default is not None:
        return default
    try:
        return int(found)
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"{name} has no usable {keyword}: {'absent' if found is None else 'not a whole number'}."
        raise BrokenFile(reason, RESEND) from error


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent or no sequence."""
    element = _element(dataset, keyword)
    found = None if element is None else _value(dataset, element)
    return list(found) if isinstance(found, Sequence) else []


def item(dataset: Dataset, keyword: str, index: int) -> Dataset | None:
    """One item of a sequence, which may have ten thousand; None where there is none at `index`."""
    element = _element(dataset, keyword)
    found = None if element is None else _value(dataset, element)
    return found[index] if isinstance(found, Sequence) and index < len(found) else None


def octets(dataset: Dataset, keyword: str) -> bytes:
    """The element's value as it lies in the file; empty where it is absent."""
    found = value(dataset, keyword)
    return found if isinstance(found, bytes) else b""


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value as pydicom gives it; None where it is absent or empty."""
    return _value(dataset, _element(dataset, keyword))


def at(dataset: Dataset, tag: BaseTag) -> Any:
    """The value of the element with this tag; None where it is absent."""
    return _value(dataset, dataset.get_item(tag))


def has(dataset: Dataset, keyword: str) -> bool:
    """Whether the element is there, if only empty."""
    return _TAGS[keyword] in dataset.keys()  # noqa: SIM118 the dataset's own `in` takes ten times as long


def _element(dataset: Dataset, keyword: str) -> Any:
    """The element, raw if nobody has asked for it; None where it is absent, or raw and empty.

    By tag, and from what the keys are the keys of: pydicom's own ways to an element take ten times as long.
    """
    tags: Any = dataset.keys()
    element = tags.mapping.get(_TAGS[keyword])
    return None if isinstance(element, RawDataElement) and not element.length else element


def _value(dataset: Dataset, element: Any) -> Any:
    """What pydicom makes of an element.

    One is taken for absent that would become Python objects without end: of two bytes in the file, "1\\", three
    hundred in memory.
    """
    if not isinstance(element, RawDataElement):
        return None if element is None else element.value
    if len(element.value or b"") > MAX_LIST and _explodes(element):
        return None
    return dataset[element.tag].value


def _explodes(element: RawDataElement) -> bool:
    """Whether a large value is text, numbers or items, more than its bytes explain."""
    kind = raw.kind(element)
    return explodes(element.value or b"") if kind == "SQ" else kind not in PLAIN


def _first_number(dataset: Dataset, keyword: str) -> Any:
    element = _element(dataset, keyword)
    if element is None:
        return None
    plain = raw.numbers(element)
    return plain[0] if plain else _first(dataset, element)


def _first(dataset: Dataset, element: Any) -> Any:
    """The first value; None where it is absent, empty, or so damaged that pydicom refuses it (a ValueError)."""
    try:
        found = _value(dataset, element)
    except (ValueError, TypeError, OverflowError):
        return None
    if isinstance(found, MultiValue | list | tuple):
        return found[0] if len(found) else None
    return found
