"""Rows of the JSON document into the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cbmir.labels import tidied
from cbmir.store import features
from cbmir.store.document import Feature
from cbmir.store.instances import tell_anew
from cbmir.store.labels import RANKS
from cbmir.store.tables import Base, Frame, Group, GroupPart, Instance, Label
from cbmir.store.writing import insert_new, serialise
from cbmir.types import LabelOrigin

Key = tuple[Any, ...]


@dataclass
class Counts:
    """What an import has read, and what of it was new here."""

    rows: int = 0
    instances: int = 0
    frames: int = 0
    features: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def known_otherwise(session: Session, rows: Sequence[Feature]) -> int | None:
    """The position of a row whose SOP Instance UID is stored with another file; None if there is none."""
    uids = [row.sop_instance_uid for row in rows if row.sop_instance_uid]
    statement = select(Instance.sop_instance_uid, Instance.sha256).where(Instance.sop_instance_uid.in_(uids))
    stored = dict(session.execute(statement).all())
    for position, row in enumerate(rows):
        if row.sop_instance_uid and stored.get(row.sop_instance_uid, row.sha256) != row.sha256:
            return position
    return None


def add(session: Session, encoder_id: str, rows: Sequence[Feature], counts: Counts) -> None:
    """Store rows: what is known stays as it is, but for labels of a lower origin; what is new is added.

    Args:
        session: one that writes.
        encoder_id: of a stored encoder whose dimension the rows have.
        rows: as checked.
        counts: grows by what was added.
    """
    serialise(session)
    instance_ids, new_instances = _instances(session, rows)
    frame_ids, new_frames = _frames(session, rows, instance_ids)
    labelled = _labels(session, rows, instance_ids)
    if new_instances < len(set(instance_ids)):
        tell_anew(session, *labelled)
    _parts(session, encoder_id, rows, instance_ids)
    new_features = features.insert_vectors(
        session,
        encoder_id,
        [
            {"frame_id": frame_id, "vector": row.vector, "pipeline": row.made_by}
            for row, frame_id in zip(rows, frame_ids, strict=True)
        ],
    )
    counts.rows += len(rows)
    counts.instances += new_instances
    counts.frames += new_frames
    counts.features += new_features


def _instances(session: Session, rows: Sequence[Feature]) -> tuple[list[int], int]:
    """The row id of each row's instance, and how many were new."""
    groups, _ = _ids(session, Group, ("key",), {(row.group,): {"key": row.group} for row in rows})
    wanted: dict[Key, dict[str, Any]] = {}
    for row in rows:
        wanted.setdefault((row.sha256,), {**row.instance, "origin": "", "group_id": groups[(row.group,)]})
    found, new = _ids(session, Instance, ("sha256",), wanted)
    return [found[(row.sha256,)] for row in rows], new


def _frames(session: Session, rows: Sequence[Feature], instance_ids: Sequence[int]) -> tuple[list[int], int]:
    keys = [(instance_id, row.frame_number) for row, instance_id in zip(rows, instance_ids, strict=True)]
    wanted: dict[Key, dict[str, Any]] = {}
    for row, key in zip(rows, keys, strict=True):
        wanted.setdefault(key, {**row.frame, "instance_id": key[0]})
    found, new = _ids(session, Frame, ("instance_id", "frame_number"), wanted)
    return [found[key] for key in keys], new


def _ids(
    session: Session, table: type[Base], key_names: tuple[str, ...], wanted: dict[Key, dict[str, Any]]
) -> tuple[dict[Key, int], int]:
    """Row ids by unique key, after the missing rows have been added; and how many were."""
    columns = table.__table__.c
    statement = select(columns.id, *(columns[name] for name in key_names))
    statement = statement.where(columns[key_names[0]].in_({key[0] for key in wanted}))

    def stored() -> dict[Key, int]:
        return {tuple(key): row_id for row_id, *key in session.execute(statement)}

    known = stored()
    missing = [row for key, row in wanted.items() if key not in known]
    insert_new(session, table, missing)
    return (stored() if missing else known), len(missing)


def _labels(session: Session, rows: Sequence[Feature], instance_ids: Sequence[int]) -> set[int]:
    """The instances whose labels are others now."""
    columns = select(Label.instance_id, Label.name, Label.id, Label.value, Label.origin)
    found = session.execute(columns.where(Label.instance_id.in_(set(instance_ids))))
    stored = {(instance_id, name): (row_id, value, origin) for instance_id, name, row_id, value, origin in found}
    new: dict[Key, dict[str, Any]] = {}
    changed: dict[int, dict[str, Any]] = {}
    labelled: set[int] = set()
    for row, instance_id in zip(rows, instance_ids, strict=True):
        for name, (value, origin) in row.named.items():
            wanted = {"value": tidied(value) or value, "origin": origin.value}
            present = stored.get((instance_id, name))
            if present is None:
                new.setdefault((instance_id, name), {"instance_id": instance_id, "name": name, **wanted})
            elif _replaces(wanted, *present[1:]):
                changed.setdefault(present[0], {"id": present[0], **wanted})
            else:
                continue
            labelled.add(instance_id)
    insert_new(session, Label, list(new.values()))
    if changed:
        session.execute(update(Label), list(changed.values()))
    return labelled


def _replaces(wanted: dict[str, str], value: str, origin: str) -> bool:
    differs = (wanted["value"], wanted["origin"]) != (value, origin)
    return differs and RANKS[LabelOrigin(wanted["origin"])] >= RANKS[LabelOrigin(origin)]


def _parts(session: Session, encoder_id: str, rows: Sequence[Feature], instance_ids: Sequence[int]) -> None:
    """Keep the split for the groups that the instances have here."""
    part_of = {instance_id: row.part for row, instance_id in zip(rows, instance_ids, strict=True) if row.part}
    found = session.execute(select(Instance.id, Instance.group_id).where(Instance.id.in_(part_of)))
    parts = {group_id: part_of[instance_id] for instance_id, group_id in found}
    insert_new(
        session,
        GroupPart,
        [{"encoder_id": encoder_id, "group_id": group_id, "part": part} for group_id, part in parts.items()],
    )
