"""Instances with their frames and labels: added, found, labelled, deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, union_all, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session, joinedload, selectinload

from cbmir.errors import BadRequest, ConflictingInstance, NotFound
from cbmir.store.tables import HEADER_COLUMNS, Encoder, Feature, Frame, Group, Instance, Label, Query
from cbmir.store.writing import insert_new, serialise, storable
from cbmir.types import InstanceHeader, LabelOrigin

RANKS = {origin: rank for rank, origin in enumerate(LabelOrigin)}
LONGEST_NAME, LONGEST_VALUE, LONGEST_GROUP = 64, 200, 200


@dataclass(frozen=True)
class NewFrame:
    """A frame to be added: its 1-based number, its picture's key, the picture's size in pixels, the conversion
    and what that did, in order."""

    frame_number: int
    picture: str
    rows: int
    columns: int
    pipeline: str
    steps: tuple[str, ...] = ()


def find_by_sha256(session: Session, sha256: str) -> Instance | None:
    """The instance whose file has these bytes, if it is stored."""
    return session.scalar(select(Instance).where(Instance.sha256 == sha256))


def find_by_sop_instance_uid(session: Session, uid: str) -> Instance | None:
    """The DICOM instance of this UID, if it is stored."""
    return session.scalar(select(Instance).where(Instance.sop_instance_uid == uid))


def of_uids(session: Session, uids: Sequence[str]) -> list[Instance]:
    """The DICOM instances of these UIDs, as far as they are stored, frames loaded, by id."""
    statement = select(Instance).where(Instance.sop_instance_uid.in_(uids)).options(selectinload(Instance.frames))
    return list(session.scalars(statement.order_by(Instance.id)))


def pipelines(session: Session, instance: Instance) -> set[str]:
    """The conversions that made the pictures of its frames: one, as a rule."""
    return set(session.scalars(select(Frame.pipeline).where(Frame.instance_id == instance.id).distinct()))


def all_pipelines(session: Session) -> set[str]:
    """The conversions that made any picture of the archive."""
    return set(session.scalars(select(Frame.pipeline).distinct()))


def made_by(session: Session, pipelines: Collection[str], *, after: int, limit: int) -> list[Instance]:
    """Up to `limit` instances above id `after` with a picture that one of these conversions made, by id."""
    statement = select(Instance).where(Instance.id > after, _has_frame_made_by(pipelines))
    return list(session.scalars(statement.order_by(Instance.id).limit(limit)))


def count_made_by(session: Session, pipelines: Collection[str]) -> int:
    """Instances with a picture that one of these conversions made."""
    statement = select(func.count()).select_from(Instance).where(_has_frame_made_by(pipelines))
    return session.scalar(statement) or 0


def _has_frame_made_by(pipelines: Collection[str]) -> ColumnElement[bool]:
    return exists().where(Frame.instance_id == Instance.id, Frame.pipeline.in_(pipelines))


def add(
    session: Session,
    *,
    converted_header: InstanceHeader | None,
    file_name: str,
    origin: str,
    sha256: str,
    group_key: str,
    frames: Sequence[NewFrame],
    labels: Mapping[str, tuple[str, LabelOrigin]],
    frame_count: int | None = None,
) -> Instance:
    """Store one instance with its frames and labels.

    Args:
        session: one that writes.
        converted_header: None for a plain image.
        file_name: as shown and exported.
        origin: where the bytes came from; empty for an upload.
        sha256: of the file's bytes.
        group_key: the patient's pseudonym, or what stands for it.
        frames: at least one.
        labels: name -> (value, origin).
        frame_count: frames that the object has, of which `frames` may be a choice; None if they are all.

    Returns:
        The new instance; the stored one where another process has just added the same bytes.

    Raises:
        cbmir.errors.ConflictingInstance: if the SOP Instance UID is stored with other bytes.
        cbmir.errors.BadRequest: if a label or the group key is too long.
    """
    serialise(session)
    known = find_by_sha256(session, sha256)
    if known is not None:
        return known
    _refuse_known_uid(session, converted_header)
    instance = Instance(
        group_id=group_id(session, group_key),
        file_name=storable(file_name),
        origin=storable(origin),
        sha256=sha256,
        **_header_columns(converted_header),
        frame_count=frame_count or len(frames),
        frames=_new_frames(frames),
        labels=[_label(name, value, source) for name, (value, source) in labels.items()],
    )
    session.add(instance)
    session.flush()
    return instance


def hold(session: Session, instance: Instance) -> None:
    """Let no other transaction hold or change this instance until this one ends."""
    session.execute(select(Instance.id).where(Instance.id == instance.id).with_for_update())


def renew(
    session: Session,
    instance: Instance,
    *,
    converted_header: InstanceHeader | None,
    frames: Sequence[NewFrame],
    frame_count: int | None = None,
) -> list[str]:
    """Replace an instance's frames, which another conversion made, with those of today; their features go.

    Its row id, group, labels, origin and name stay. The new frames have ids of their own, so that an extraction
    that runs meanwhile cannot take the feature of an old picture for that of a new one.

    Returns:
        as `delete`.
    """
    pictures = _pictures(session, instance)
    bump_encoders_of(session, instance)
    session.execute(delete_rows(Frame).where(Frame.instance_id == instance.id))
    session.expire(instance, ["frames"])
    for name, value in _header_columns(converted_header).items():
        setattr(instance, name, value)
    instance.frame_count = frame_count or len(frames)
    instance.frames.extend(_new_frames(frames))
    session.flush()
    return unused_pictures(session, pictures)


def identify(
    session: Session,
    instance: Instance,
    *,
    converted_header: InstanceHeader | None,
    sha256: str,
    origin: str,
    group_key: str,
) -> None:
    """Let the instance be what another file of its SOP Instance UID says: in header, patient and bytes."""
    for name, value in _header_columns(converted_header).items():
        setattr(instance, name, value)
    instance.sha256, instance.origin = sha256, storable(origin)
    left = instance.group_id
    if set_group(session, instance, group_key):
        _drop_empty_group(session, left)


def group_id(session: Session, key: str) -> int:
    """The id of the group of this key, which is made where it is missing.

    Raises:
        cbmir.errors.BadRequest: if the key is empty or longer than 200 characters.
    """
    key = storable(key)
    if not 0 < len(key) <= LONGEST_GROUP:
        raise BadRequest(f"A group has {len(key)} characters.", f"Name it with 1 to {LONGEST_GROUP}.")
    insert_new(session, Group, [{"key": key}])
    return session.scalars(select(Group.id).where(Group.key == key)).one()


def set_group(session: Session, instance: Instance, key: str) -> bool:
    """Move the instance to the group of this key; True if that changed anything."""
    wanted = group_id(session, key)
    changed = instance.group_id != wanted
    instance.group_id = wanted
    session.flush()
    return changed


def set_labels(session: Session, instance: Instance, labels: Mapping[str, str], origin: LabelOrigin) -> bool:
    """Set labels by name; one of a higher origin (header < folder < manifest < import < user) stays as it is.

    Returns:
        True if a value or an origin changed.

    Raises:
        cbmir.errors.BadRequest: if a name or a value is empty or too long.
    """
    current = {label.name: label for label in instance.labels}
    changed = [
        _set_label(instance, current.get(each.name), each)
        for each in (_label(name, value, origin) for name, value in labels.items())
    ]
    session.flush()
    return any(changed)


def frame(session: Session, frame_id: int) -> Frame:
    """One frame, with its instance, group and labels loaded.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    found = session.scalar(select(Frame).where(Frame.id == frame_id).options(*_WITH_INSTANCE))
    if found is None:
        raise NotFound(f"There is no image {frame_id}.")
    return found


def frames_of(session: Session, sop_instance_uid: str) -> list[Frame]:
    """The frames of a DICOM instance by frame number, instance, group and labels loaded; [] if it is unknown."""
    statement = (
        select(Frame)
        .join(Frame.instance)
        .where(Instance.sop_instance_uid == sop_instance_uid)
        .order_by(Frame.frame_number)
        .options(*_WITH_INSTANCE)
    )
    return list(session.scalars(statement))


def delete(session: Session, instance: Instance) -> list[str]:
    """Delete an instance with its frames, labels and features, and its group if nothing else is in it.

    Returns:
        The keys of the pictures that no frame and no query uses any more: their files can be discarded once the
        session has committed.
    """
    pictures = _pictures(session, instance)
    bump_encoders_of(session, instance)
    left = instance.group_id
    session.delete(instance)
    session.flush()
    _drop_empty_group(session, left)
    return unused_pictures(session, pictures)


def bump_encoders_of(session: Session, instance: Instance) -> None:
    """Tell every cached index that holds a feature of this instance that it has changed; for who deletes frames.

    The frames are locked first, in the order of `features.add_batch`: an extraction that runs meanwhile waits.
    """
    frame_ids = select(Frame.id).where(Frame.instance_id == instance.id)
    session.execute(frame_ids.with_for_update())
    encoders = select(Feature.encoder_id).where(Feature.frame_id.in_(frame_ids))
    session.execute(update(Encoder).where(Encoder.id.in_(encoders)).values(generation=Encoder.generation + 1))


def _pictures(session: Session, instance: Instance) -> set[str]:
    return set(session.scalars(select(Frame.picture).where(Frame.instance_id == instance.id)))


def _drop_empty_group(session: Session, group: int) -> None:
    session.execute(delete_rows(Group).where(Group.id == group, ~exists().where(Instance.group_id == group)))


def unused_pictures(session: Session, pictures: set[str]) -> list[str]:
    """Those of the pictures that no frame and no query shows."""
    used = union_all(
        select(Frame.picture).where(Frame.picture.in_(pictures)),
        select(Query.picture).where(Query.picture.in_(pictures)),
    )
    return sorted(pictures - set(session.scalars(used)) - {""})  # an imported frame may have named none


_WITH_INSTANCE = (
    joinedload(Frame.instance).joinedload(Instance.group),
    joinedload(Frame.instance).selectinload(Instance.labels),
)


def _refuse_known_uid(session: Session, header: InstanceHeader | None) -> None:
    if header is not None and find_by_sop_instance_uid(session, header.sop_instance_uid) is not None:
        raise ConflictingInstance(
            f"The SOP Instance UID {header.sop_instance_uid} is stored with other content.",
            "Find out which of the two files is right: a UID names one object only (PS3.5, section 9).",
        )


def _new_frames(frames: Sequence[NewFrame]) -> list[Frame]:
    return [Frame(**{**asdict(each), "steps": list(each.steps)}) for each in frames]


def _header_columns(header: InstanceHeader | None) -> dict[str, Any]:
    if header is None:
        return {}
    texts = {name: storable(getattr(header, name), _LENGTHS[name]) or None for name in HEADER_COLUMNS}
    return {**texts, "ultrasound_regions": [asdict(region) for region in header.ultrasound_regions] or None}


_LENGTHS: dict[str, int | None] = {
    name: getattr(Instance.__table__.c[name].type, "length", None) for name in HEADER_COLUMNS
}


def _label(name: str, value: str, origin: LabelOrigin) -> Label:
    name, value = storable(name), storable(value)
    if not 0 < len(name) <= LONGEST_NAME or not 0 < len(value) <= LONGEST_VALUE:
        raise BadRequest(
            f"The label {name[:LONGEST_NAME]!r} has {len(value)} characters.",
            f"Give a name of 1 to {LONGEST_NAME} and a value of 1 to {LONGEST_VALUE} characters.",
        )
    return Label(name=name, value=value, origin=origin.value)


def _set_label(instance: Instance, present: Label | None, wanted: Label) -> bool:
    if present is None:
        instance.labels.append(wanted)
        return True
    if RANKS[LabelOrigin(wanted.origin)] < RANKS[LabelOrigin(present.origin)]:
        return False
    changed = (present.value, present.origin) != (wanted.value, wanted.origin)
    present.value, present.origin = wanted.value, wanted.origin
    return changed
