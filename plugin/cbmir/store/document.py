"""The JSON document of an encoder's features, `cbmir-features/1`: what stands in it, and one row of it, checked.

`cbmir-features-1.schema.json` beside this file says the same to programs of others (JSON Schema, draft 2020-12).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Protocol

from cbmir.errors import BadExport
from cbmir.store.tables import HEADER_COLUMNS, now
from cbmir.store.writing import storable
from cbmir.types import LabelOrigin, Part, UltrasoundRegion

SCHEMA = "cbmir-features/1"
SCHEMA_FILE = "cbmir-features-1.schema.json"
MOST_NUMBERS = 65_536
LARGEST = 2**31 - 1
MOST_REGIONS, MOST_STEPS, LONGEST_STEP = 256, 64, 1000

Check = Callable[[Any], bool]


class Feature(Protocol):
    """One feature with the frame it is of, checked.

    Attributes:
        group: key of the patient's group.
        sha256: of the file.
        sop_instance_uid: of the object, if it has one.
        frame_number: from 1.
        instance: columns of `Instance`, without its group.
        frame: columns of `Frame`, without its instance.
        named: labels: name -> (value, origin).
        part: of the split in which the group stood when the encoder was trained, if it did.
        vector: float32, little endian.
        made_by: the conversion behind the picture that was encoded.
    """

    @property
    def group(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str | None: ...
    @property
    def frame_number(self) -> int: ...
    @property
    def instance(self) -> dict[str, Any]: ...
    @property
    def frame(self) -> dict[str, Any]: ...
    @property
    def named(self) -> dict[str, tuple[str, LabelOrigin]]: ...
    @property
    def part(self) -> str | None: ...
    @property
    def vector(self) -> bytes: ...
    @property
    def made_by(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A `Feature` that was read and checked key by key."""

    group: str
    instance: dict[str, Any]
    frame: dict[str, Any]
    named: dict[str, tuple[str, LabelOrigin]]
    part: str | None
    vector: bytes
    made_by: str

    @property
    def sha256(self) -> str:
        """Of the file."""
        return str(self.instance["sha256"])

    @property
    def sop_instance_uid(self) -> str | None:
        """Of the object, if it has one."""
        uid: str | None = self.instance["sop_instance_uid"]
        return uid

    @property
    def frame_number(self) -> int:
        """From 1."""
        return int(self.frame["frame_number"])


def published_schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = resources.files("cbmir.store").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def check_schema(schema: object) -> None:
    """Check the value of the document's key `schema`.

    Raises:
        cbmir.errors.BadExport: if it is another.
    """
    if schema != SCHEMA:
        told = f"the schema {schema[:40]!r}" if isinstance(schema, str) else "no schema"
        raise BadExport(f"The document has {told}, not {SCHEMA!r}.", "Export it again with this version of cbmir.")


def read_encoder(encoder: object) -> dict[str, Any]:
    """Check the value of the document's key `encoder`.

    Args:
        encoder: as parsed; None where the key is missing.

    Returns:
        Columns of `Encoder` but `weights_file` and `generation`.

    Raises:
        cbmir.errors.BadExport: if a key is missing or wrong.
    """
    if not isinstance(encoder, dict):
        raise BadExport("It is missing, or not an object.")
    _check(encoder, _ENCODER, _ENCODER_OPTIONAL)
    columns = {key: encoder[key] for key in _ENCODER}
    columns.update({key: encoder.get(key) or {} for key in ("training", "metrics")})
    return columns | _moment(encoder)


def read_row(raw: object, dimension: int) -> Row:
    """Check one member of `features`.

    Args:
        raw: as parsed.
        dimension: how many numbers its feature must have.

    Raises:
        cbmir.errors.BadExport: if a key is missing or wrong; the reason names the key, never its value.
    """
    if not isinstance(raw, dict):
        raise BadExport("It is not an object.")
    _check(raw, _ROW, _ROW_OPTIONAL)
    return Row(
        group=raw["group"],
        instance={key: raw.get(key) for key in INSTANCE}
        | {"frame_count": raw.get("frame_count") or 1, "ultrasound_regions": raw.get("ultrasound_regions") or None}
        | _moment(raw),
        frame={key: raw.get(key) or absent for key, absent in FRAME.items()},
        named=_labels(raw["labels"], raw.get("label_origins") or {}),
        part=raw.get("part"),
        vector=_vector(raw["feature"], dimension),
        made_by=raw.get("feature_pipeline") or raw.get("pipeline") or FRAME["pipeline"],
    )


def _check(raw: dict[str, Any], required: dict[str, Check], optional: dict[str, Check]) -> None:
    for key, good in required.items():
        if key not in raw:
            raise BadExport(f"It lacks the key {key!r}.")
        if not good(raw[key]):
            raise BadExport(f"Its {key!r} is not what the schema asks for.")
    for key, good in optional.items():
        if (value := raw.get(key)) is not None and not good(value):
            raise BadExport(f"Its {key!r} is not what the schema asks for.")


def _vector(feature: list[Any], dimension: int) -> bytes:
    if len(feature) != dimension:
        raise BadExport(f"Its feature has {len(feature)} numbers, the encoder gives {dimension}.")
    if not _NUMBERS.issuperset(map(type, feature)):
        raise BadExport("Its feature holds something that is no number.")
    try:
        return pack(feature)
    except OverflowError as error:
        raise BadExport("Its feature holds a number beyond the range of float32.") from error


def pack(feature: Sequence[float]) -> bytes:
    """Numbers as they are stored: float32, little endian.

    Raises:
        OverflowError: if one is beyond the range of float32.
    """
    return _packer(len(feature))(*feature)


@cache
def _packer(dimension: int) -> Callable[..., bytes]:
    return struct.Struct(f"<{dimension}f").pack


def _labels(values: dict[str, str], origins: dict[str, str]) -> dict[str, tuple[str, LabelOrigin]]:
    return {name: (value, LabelOrigin(origins.get(name, LabelOrigin.IMPORT))) for name, value in values.items()}


def _moment(raw: dict[str, Any]) -> dict[str, datetime]:
    text = raw.get("created_at")
    return {"created_at": now() if text is None else datetime.fromisoformat(text)}


def _is_text(limit: int) -> Check:
    def good(value: object) -> bool:
        # printable text is storable, and quicker to tell
        return (
            isinstance(value, str) and 0 < len(value) <= limit and (value.isprintable() or storable(value) == value)
        )

    return good


def _is_like(pattern: str) -> Check:
    match = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: isinstance(value, str) and match(value) is not None


def _is_whole(least: int, most: int = LARGEST) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _is_one_of(kind: type[StrEnum]) -> Check:
    members = frozenset(kind)
    return lambda value: isinstance(value, str) and value in members


def _is_mapping(key: Check, value: Check) -> Check:
    return lambda found: isinstance(found, dict) and all(key(k) and value(v) for k, v in found.items())


def _is_list(value: Check, most: int) -> Check:
    return lambda found: isinstance(found, list) and len(found) <= most and all(map(value, found))


def _is_region(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == _REGION and all(map(_is_whole(0), value.values()))


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_NUMBERS = {int, float}
_REGION = {each.name for each in fields(UltrasoundRegion)}
_digest = _is_like("[0-9a-f]{64}")
_uid = _is_like(r"[0-9.]{1,64}")
_word = _is_like(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_code = _is_text(64)


def _object(value: object) -> bool:
    return isinstance(value, dict)


_ENCODER: dict[str, Check] = {
    "id": _word,
    "architecture": _word,
    "dimension": _is_whole(1, MOST_NUMBERS),
    "weights_sha256": _digest,
    "preprocessing": _object,
}
_ENCODER_OPTIONAL: dict[str, Check] = {"training": _object, "metrics": _object, "created_at": _is_moment}
_ROW: dict[str, Check] = {
    "file_name": _is_text(4096),
    "feature": lambda value: isinstance(value, list),
    "label": lambda value: value is None or isinstance(value, str),
    "labels": _is_mapping(_code, _is_text(200)),
    "group": _is_text(200),
    "sop_instance_uid": lambda value: value is None or _uid(value),
    "frame_number": _is_whole(1),
    "sha256": _digest,
}
_ROW_OPTIONAL: dict[str, Check] = {
    **dict.fromkeys(("sop_class_uid", "study_instance_uid", "series_instance_uid", "transfer_syntax_uid"), _uid),
    "modality": _is_text(16),
    "body_part": _code,
    "photometric": _is_text(16),
    "burned_in_annotation": _is_text(3),
    "laterality": _is_text(1),
    "view_position": _is_text(16),
    "manufacturer": _code,
    "model_name": _code,
    "ultrasound_regions": _is_list(_is_region, MOST_REGIONS),
    "frame_count": _is_whole(1),
    "label_origins": _is_mapping(_code, _is_one_of(LabelOrigin)),
    "part": _is_one_of(Part),
    "picture": _digest,
    "rows": _is_whole(0),
    "columns": _is_whole(0),
    "pipeline": _code,
    "feature_pipeline": _code,
    "steps": _is_list(_is_text(LONGEST_STEP), MOST_STEPS),
    "created_at": _is_moment,
}
INSTANCE = ("file_name", "sha256", *HEADER_COLUMNS)
FRAME: dict[str, Any] = {
    "frame_number": 1,
    "picture": "",
    "rows": 0,
    "columns": 0,
    "pipeline": "import",
    "steps": [],
}
