"""Rows as the text of the JSON document's `features`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from cbmir.store.features import STORED

REQUIRED = ("file_name", "feature", "label", "labels", "group", "sop_instance_uid", "frame_number", "sha256")
BEFORE = (
    "study_instance_uid",
    "series_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "modality",
    "body_part",
    "photometric",
    "burned_in_annotation",
    "laterality",
    "view_position",
    "manufacturer",
    "model_name",
    "frame_count",
)
AFTER = ("rows", "columns", "pipeline", "part", "feature_pipeline", "ultrasound_regions", "steps")
COMMON = BEFORE + AFTER
"""Keys that stand before and after `created_at` and `picture`, left out where there is nothing to say."""

TEXTS = (
    '{"file_name":%s,"feature":[',
    ',"sop_instance_uid":%s,"frame_number":%s,"sha256":"%s"',
    ',"created_at":"%s"%s',
    "%s",
    "%s",
)
"""What the database fills in for each row, as `printf` does: three pieces of the member, then as JSON the list of
the group and what `COMMON` names, and an object of label to value and origin, or nothing."""

REMEMBERED = 1024
"""Texts of what frames have in common that are kept at a time: neighbours are mostly of one series."""

ROWS_AT_ONCE = 100
"""Whose text is made at once. For pieces larger than that the C library asks the system for memory anew each time,
which takes a fifth of an export's time."""

FloatArray64 = npt.NDArray[np.float64]


class Batch(NamedTuple):
    """What some rows say.

    Attributes:
        vectors: the features, one after the other.
        texts: `TEXTS` of each row, filled in, one after the other.
    """

    vectors: bytes
    texts: Sequence[str]


def members(batches: Iterable[Batch], dimension: int) -> Iterator[list[str]]:
    """The members of `features`: the text of a JSON object for each row, some at a time."""
    common_texts, label_texts = lru_cache(REMEMBERED)(_common), lru_cache(REMEMBERED)(_labels)
    for vectors, texts in _parts(batches, dimension * STORED.itemsize):
        heads, keys, moments, common, labels = (texts[place :: len(TEXTS)] for place in range(len(TEXTS)))
        features = _as_texts(numbers_to_write(vectors, dimension))
        known = map(common_texts, common), map(label_texts, labels)
        yield list(map(_member, heads, features, keys, moments, *known))


def _parts(batches: Iterable[Batch], width: int) -> Iterator[Batch]:
    """The same rows in smaller batches."""
    for vectors, texts in batches:
        for start in range(0, len(texts) // len(TEXTS), ROWS_AT_ONCE):
            octets = vectors[start * width : (start + ROWS_AT_ONCE) * width]
            yield Batch(octets, texts[start * len(TEXTS) : (start + ROWS_AT_ONCE) * len(TEXTS)])


def numbers_to_write(vectors: bytes, dimension: int) -> FloatArray64:
    """Features as numbers whose text is short, and reads back to the same float32 bit for bit.

    Readers take the text for a float64 and round that to float32, so the shortest text that names a float32 is not
    safe: once in some billion numbers the first rounding makes the second go astray. Nine significant digits always
    are: they are within 0.5e-8 of the number's power of two, and the next float32 is six times as far at least.

    Args:
        vectors: n * dimension float32, little endian.
        dimension: numbers of a feature.

    Returns:
        float64 [n, dimension]: each the float64 nearest to nine or ten decimal digits; the exact number where it is
        below 1e-14 or above 1e9.
    """
    exact = np.frombuffer(vectors, STORED).astype(np.float32, copy=False)
    scales = SCALES[(exact.view(np.uint32) >> 23) & 0xFF]
    numbers = np.rint(exact * scales) / scales
    np.copyto(numbers, exact, where=np.isnan(scales))
    shaped: FloatArray64 = numbers.reshape(-1, dimension)
    return shaped


def _scale(exponent: int) -> float:
    """The power of ten that leaves nine or ten digits before the point of numbers from 2**exponent on; NaN where it
    is none that float64 holds exactly."""
    places = 8 - math.floor(exponent * math.log10(2))
    return 10.0**places if 0 <= places <= 22 else math.nan


SCALES = np.array([_scale(biased - 127) for biased in range(256)])
"""By the exponent as float32 stores it (IEEE 754, binary32)."""


def _as_texts(numbers: FloatArray64) -> list[str]:
    """The numbers of each row, between commas."""
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].decode().split("],[")


def _member(
    head: str, feature: str, keys: str, moment: str, common: tuple[str, str, str], labels: tuple[str, str]
) -> str:
    group, study, rest = common
    named, origins = labels
    return f"{head}{feature}]{named}{group}{keys}{origins}{study}{moment}{rest}}}"


def _common(columns: str) -> tuple[str, str, str]:
    """The texts of what frames have in common: the group, what stands before `created_at`, and after `picture`."""
    group, *values = orjson.loads(columns)
    found = dict(zip(COMMON, values, strict=True))
    if found["feature_pipeline"] == found["pipeline"]:
        del found["feature_pipeline"]
    for name in ("ultrasound_regions", "steps"):
        found[name] = orjson.loads(found[name]) if isinstance(found[name], str) else found[name]
    study, rest = (_pairs({name: found[name] for name in some if found.get(name)}) for some in (BEFORE, AFTER))
    return _pairs({"group": group}), study, rest


def _labels(columns: str) -> tuple[str, str]:
    """The texts of an instance's labels: `label` with `labels`, and `label_origins`; both by name."""
    found = sorted(orjson.loads(columns or "{}").items())
    values, origins = ({name: pair[which] for name, pair in found} for which in (0, 1))
    label = values.get("subclass", values.get("modality"))
    return _pairs({"label": label, "labels": values}), _pairs({"label_origins": origins})


def _pairs(members: dict[str, Any]) -> str:
    """Members of an object as text, after a comma."""
    return f",{orjson.dumps(members)[1:-1].decode()}" if members else ""
