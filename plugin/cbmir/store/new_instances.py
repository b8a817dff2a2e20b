"""Instances to be added: checked one by one, then written together, in a few statements however many they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest
from cbmir.labels import tidied
from cbmir.store.tables import HEADER_COLUMNS, Frame, Group, Instance, Label
from cbmir.store.writing import insert_new, storable
from cbmir.types import InstanceHeader, LabelOrigin, NewFrame

LONGEST_NAME, LONGEST_VALUE, LONGEST_GROUP = 64, 200, 200

Row = dict[str, Any]
"""Values by column."""

NO_HEADER: Row = dict.fromkeys((*HEADER_COLUMNS, "study_date", "ultrasound_regions"))
"""What rows that are written together must all name."""


@dataclass(frozen=True)
class NewInstance:
    """An instance to be added, with its frames and labels, as both databases take it."""

    group_key: str
    row: Row
    frames: tuple[Row, ...]
    labels: tuple[Row, ...]

    @classmethod
    def of(
        cls,
        *,
        header: InstanceHeader | None,
        file_name: str,
        origin: str,
        sha256: str,
        group_key: str,
        frames: Sequence[NewFrame],
        labels: Mapping[str, tuple[str, LabelOrigin]],
        frame_count: int | None = None,
    ) -> Self:
        """Check it; the arguments are those of `cbmir.store.instances.add`.

        Raises:
            cbmir.errors.BadRequest: if a label or the group key is too long.
        """
        row = {
            "file_name": storable(file_name),
            "origin": storable(origin),
            "sha256": sha256,
            "frame_count": frame_count or len(frames),
            **NO_HEADER,
            **header_columns(header),
        }
        labelled = tuple(label_row(name, value, source) for name, (value, source) in labels.items())
        return cls(checked_group(group_key), row, tuple(map(frame_row, frames)), labelled)

    @property
    def sha256(self) -> str:
        """Of the file's bytes."""
        return str(self.row["sha256"])

    @property
    def sop_instance_uid(self) -> str | None:
        """None for a plain image."""
        uid: str | None = self.row["sop_instance_uid"]
        return uid


def write(session: Session, new: Sequence[NewInstance]) -> dict[str, int]:
    """Add instances of which none is stored, by bytes or UID; `cbmir.store.writing.serialise` makes that sure.

    Returns:
        Their row ids by SHA-256.
    """
    if not new:
        return {}
    groups = group_ids(session, {each.group_key for each in new})
    rows = [{**each.row, "group_id": groups[each.group_key]} for each in new]
    added = insert(Instance.__table__).returning(Instance.sha256, Instance.id)  # type: ignore[arg-type]
    ids = {sha256: row_id for sha256, row_id in session.execute(added, rows)}  # noqa: C416 - no pairs to mypy
    _write_below(session, Frame, [{"instance_id": ids[each.sha256], **row} for each in new for row in each.frames])
    _write_below(session, Label, [{"instance_id": ids[each.sha256], **row} for each in new for row in each.labels])
    return ids


def _write_below(session: Session, table: type[Frame | Label], rows: Sequence[Row]) -> None:
    if rows:
        session.execute(insert(table.__table__), rows)  # type: ignore[arg-type]


def group_ids(session: Session, keys: Collection[str]) -> dict[str, int]:
    """The ids of the groups of these checked keys, by key; those that are missing are made."""
    found = _known_groups(session, keys)
    if missing := set(keys) - found.keys():
        insert_new(session, Group, [{"key": key} for key in sorted(missing)])
        found |= _known_groups(session, missing)
    return found


def _known_groups(session: Session, keys: Collection[str]) -> dict[str, int]:
    rows = session.execute(select(Group.key, Group.id).where(Group.key.in_(keys)))
    return {key: row_id for key, row_id in rows}  # noqa: C416 - rows are no pairs to the type checker


def checked_group(key: str) -> str:
    """The key as it is stored.

    Raises:
        cbmir.errors.BadRequest: if it is empty or longer than 200 characters.
    """
    key = storable(key)
    if not 0 < len(key) <= LONGEST_GROUP:
        raise BadRequest(f"A group has {len(key)} characters.", f"Name it with 1 to {LONGEST_GROUP}.")
    return key


def frame_row(frame: NewFrame) -> Row:
    """A frame's columns."""
    return {**vars(frame), "steps": list(frame.steps)}


def header_columns(header: InstanceHeader | None) -> Row:
    """The columns of an instance that a DICOM header fills; {} without one."""
    if header is None:
        return {}
    texts = {name: storable(getattr(header, name), _LENGTHS[name]) or None for name in HEADER_COLUMNS}
    regions = [asdict(region) for region in header.ultrasound_regions]
    return {**texts, "study_date": header.study_date, "ultrasound_regions": regions or None}


_LENGTHS: dict[str, int | None] = {
    name: getattr(Instance.__table__.c[name].type, "length", None) for name in HEADER_COLUMNS
}


def label_row(name: str, value: str, origin: LabelOrigin) -> Row:
    """A label's columns; its value is tidied: a form that asks for it can send no line break.

    Raises:
        cbmir.errors.BadRequest: if the name or the value is empty or too long.
    """
    name, value = storable(name), tidied(storable(value))
    _check_length("The name of a label", name, LONGEST_NAME)
    _check_length(f"The label {name!r}", value, LONGEST_VALUE)
    return {"name": name, "value": value, "origin": origin.value}


def _check_length(what: str, text: str, longest: int) -> None:
    if not 0 < len(text) <= longest:
        raise BadRequest(
            f"{what} has {len(text)} characters.",
            f"Give a name of 1 to {LONGEST_NAME} and a value of 1 to {LONGEST_VALUE} characters.",
        )
