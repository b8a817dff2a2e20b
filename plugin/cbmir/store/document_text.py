"""Rows as the text of the JSON document's `features`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from cbmir.store.features import STORED

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

REMEMBERED = 1024
"""Texts of what frames have in common that are kept at a time: neighbours are mostly of one series."""

ROWS_AT_ONCE = 100
"""Whose text is made at once. For pieces larger than that the C library asks the system for memory anew each time,
which takes a fifth of an export's time."""

_LINES = msgspec.json.Encoder()
FloatArray64 = npt.NDArray[np.float64]


class Columns(NamedTuple):
    """What a batch of rows says, column by column.

    Attributes:
        vectors: the features, one after the other.
        file_names: of the instances.
        sop_instance_uids: None where there is none.
        frame_numbers: the first is 1.
        sha256s: of the instances' files.
        created_at: as text.
        pictures: None or empty where there is none.
        common: as the text of JSON, a list of the group and what `COMMON` names.
        labels: as the text of JSON, an object of name to value and origin; empty where there are none.
    """

    vectors: bytes
    file_names: Sequence[str]
    sop_instance_uids: Sequence[str | None]
    frame_numbers: Sequence[int]
    sha256s: Sequence[str]
    created_at: Sequence[str]
    pictures: Sequence[str | None]
    common: Sequence[str]
    labels: Sequence[str]


def members(batches: Iterable[Columns], dimension: int) -> Iterator[list[str]]:
    """The members of `features`: the text of a JSON object for each row, some at a time."""
    common_texts, label_texts = lru_cache(REMEMBERED)(_common), lru_cache(REMEMBERED)(_labels)
    for batch in _parts(batches, dimension * STORED.itemsize):
        features = _as_texts(numbers_to_write(batch.vectors, dimension))
        quoted = map(_quoted, (batch.file_names, batch.sop_instance_uids, batch.created_at))
        texts = map(common_texts, batch.common), map(label_texts, batch.labels)
        plain = batch.frame_numbers, batch.sha256s, batch.pictures
        yield list(map(_member, features, *quoted, *texts, *plain))


def _parts(batches: Iterable[Columns], width: int) -> Iterator[Columns]:
    """The same rows in smaller batches."""
    for vectors, *columns in batches:
        for start in range(0, len(columns[0]), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            octets = vectors[part.start * width : part.stop * width]
            yield Columns._make([octets, *(column[part] for column in columns)])


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


def _quoted(values: Sequence[Any]) -> list[str]:
    """The JSON text of each; none holds a line's end."""
    return _LINES.encode_lines(values).decode().split("\n")[:-1]


def _member(
    feature: str,
    name: str,
    uid: str,
    moment: str,
    common: tuple[str, str, str],
    labels: tuple[str, str],
    frame_number: int,
    sha256: str,
    picture: str | None,
) -> str:
    group, study, rest = common
    named, origins = labels
    shelf = f',"picture":"{picture}"' if picture else ""
    return (
        f'{{"file_name":{name},"feature":[{feature}]{named}{group},"sop_instance_uid":{uid}'
        f',"frame_number":{frame_number},"sha256":"{sha256}"{origins}{study},"created_at":{moment}{shelf}{rest}}}'
    )


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
