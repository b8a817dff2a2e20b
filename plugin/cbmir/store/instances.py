"""Instances with their frames and labels: added, found, deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, bindparam, exists, func, insert, or_, select, union_all, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session, joinedload, selectinload

from cbmir.errors import ConflictingInstance, NotFound
from cbmir.store import new_instances
from cbmir.store.new_instances import (
    NewInstance,
    checked_group,
    frame_row,
    group_ids,
    header_columns,
)
from cbmir.store.tables import DroppedFeature, Encoder, Feature, Frame, Group, Instance, Query
from cbmir.store.writing import in_pieces, serialise, storable
from cbmir.types import InstanceHeader, LabelOrigin, NewFrame


def find_by_sha256(session: Session, sha256: str) -> Instance | None:
    """The instance whose file has these bytes, if it is stored."""
    return session.scalar(select(Instance).where(Instance.sha256 == sha256))


def find_by_sop_instance_uid(session: Session, uid: str) -> Instance | None:
    """The DICOM instance of this UID, if it is stored."""
    return session.scalar(select(Instance).where(Instance.sop_instance_uid == uid))


def of_uids(session: Session, uids: Sequence[str]) -> list[Instance]:
    """The DICOM instances of these UIDs, as far as they are stored, frames loaded, by id."""
    return _with_frames(session, Instance.sop_instance_uid.in_(uids))


def of_ids(session: Session, ids: Collection[int]) -> list[Instance]:
    """The instances of these ids, as far as they are stored, frames loaded, by id."""
    return _with_frames(session, Instance.id.in_(ids))


def _with_frames(session: Session, which: ColumnElement[bool]) -> list[Instance]:
    statement = select(Instance).where(which).options(selectinload(Instance.frames))
    return list(session.scalars(statement.order_by(Instance.id)))


def named(session: Session, name: str) -> list[Instance]:
    """The instances of a SOP, series or study instance UID, of a file's SHA-256, or of a group's key."""
    uids = (Instance.sop_instance_uid, Instance.series_instance_uid, Instance.study_instance_uid, Instance.sha256)
    group = Instance.group_id.in_(select(Group.id).where(Group.key == name))
    return list(session.scalars(select(Instance).where(or_(group, *(each == name for each in uids)))))


def of_groups(session: Session, group_ids: Collection[int]) -> list[Instance]:
    """The instances of these groups."""
    return list(session.scalars(select(Instance).where(Instance.group_id.in_(group_ids))))


def known_uids(session: Session, uids: Collection[str]) -> set[str]:
    """Those of these SOP Instance UIDs of which an object is stored."""
    known: set[str] = set()
    for some in in_pieces(uids):
        found = select(Instance.sop_instance_uid).where(Instance.sop_instance_uid.in_(some))
        known.update(uid for uid in session.scalars(found) if uid)
    return known


def pipelines(session: Session, instance: Instance) -> set[str]:
    """The conversions that made the pictures of its frames: one, as a rule."""
    return set(session.scalars(select(Frame.pipeline).where(Frame.instance_id == instance.id).distinct()))


def pictures_of(session: Session, sha256: str) -> dict[str, str]:
    """The pictures of the instance with these bytes, by key, and the conversion that made each; none if it is not
    stored."""
    return {row.picture: row.pipeline for row in session.execute(_PICTURES_OF, {"sha256": sha256})}


_OF_FRAMES, _OF_INSTANCES = Frame.__table__.c, Instance.__table__.c
_PICTURES_OF = (
    select(_OF_FRAMES.picture, _OF_FRAMES.pipeline)
    .join(Instance.__table__, _OF_INSTANCES.id == _OF_FRAMES.instance_id)
    .where(_OF_INSTANCES.sha256 == bindparam("sha256"))
)
"""Asked for every file: made once, and of columns, which take less time than attributes."""


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
    header: InstanceHeader | None,
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
        header: None for a plain image.
        file_name: as shown and exported.
        origin: where the bytes came from; empty for an upload.
        sha256: of the file's bytes.
        group_key: the patient's pseudonym, or what stands for it.
        frames: at least one.
        labels: name -> (value, origin).
        frame_count: frames that the object has, of which `frames` may be a choice; None if they are all.

    Returns:
        The new instance, frames and labels loaded; the stored one where another process has just added its bytes.

    Raises:
        cbmir.errors.ConflictingInstance: if the SOP Instance UID is stored with other bytes.
        cbmir.errors.BadRequest: if a label or the group key is too long.
    """
    new = NewInstance.of(
        header=header,
        file_name=file_name,
        origin=origin,
        sha256=sha256,
        group_key=group_key,
        frames=frames,
        labels=labels,
        frame_count=frame_count,
    )
    if add_all(session, [new]):
        _refuse_known_uid(session, new)
    loaded = selectinload(Instance.frames), selectinload(Instance.labels)
    return session.scalars(select(Instance).where(Instance.sha256 == sha256).options(*loaded)).one()


def add_all(session: Session, new: Sequence[NewInstance]) -> list[NewInstance]:
    """Store instances with their frames and labels, in a few statements.

    Returns:
        Those that were not added: their bytes or their SOP Instance UID are stored already, or were those of one
        before them.
    """
    serialise(session)
    known = _known(session, new)
    fresh: list[NewInstance] = []
    others: list[NewInstance] = []
    for each in new:
        marks = {each.sha256, each.sop_instance_uid} - {None}
        (others if marks & known else fresh).append(each)
        known |= marks
    new_instances.write(session, fresh)
    return others


def _known(session: Session, new: Sequence[NewInstance]) -> set[str | None]:
    """Hashes and UIDs that are stored already; no hash is a UID."""
    same = or_(
        Instance.sha256.in_([each.sha256 for each in new]),
        Instance.sop_instance_uid.in_({each.sop_instance_uid for each in new} - {None}),
    )
    rows = session.execute(select(Instance.sha256, Instance.sop_instance_uid).where(same))
    return {mark for row in rows for mark in row}


def hold(session: Session, instance: Instance) -> None:
    """Let no other transaction hold or change this instance until this one ends."""
    session.execute(select(Instance.id).where(Instance.id == instance.id).with_for_update())


def renew(
    session: Session,
    instance: Instance,
    *,
    header: InstanceHeader | None,
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
    bump_encoders_of(session, instance.id)
    session.execute(delete_rows(Frame).where(Frame.instance_id == instance.id))
    session.expire(instance, ["frames"])
    for name, value in header_columns(header).items():
        setattr(instance, name, value)
    instance.frame_count = frame_count or len(frames)
    instance.frames.extend(Frame(**frame_row(each)) for each in frames)
    session.flush()
    return unused_pictures(session, pictures)


def identify(
    session: Session,
    instance: Instance,
    *,
    header: InstanceHeader | None,
    sha256: str,
    origin: str,
    group_key: str,
) -> None:
    """Let the instance be what another file of its SOP Instance UID says: in header, patient and bytes."""
    for name, value in header_columns(header).items():
        setattr(instance, name, value)
    instance.sha256, instance.origin = sha256, storable(origin)
    left = instance.group_id
    if set_group(session, instance, group_key):
        _drop_empty_group(session, left)
    tell_anew(session, instance.id)


def group_id(session: Session, key: str) -> int:
    """The id of the group of this key, which is made where it is missing.

    Raises:
        cbmir.errors.BadRequest: if the key is empty or longer than 200 characters.
    """
    key = checked_group(key)
    return group_ids(session, [key])[key]


def set_group(session: Session, instance: Instance, key: str) -> bool:
    """Move the instance to the group of this key; True if that changed anything."""
    wanted = group_id(session, key)
    changed = instance.group_id != wanted
    instance.group_id = wanted
    session.flush()
    return changed


def frame(session: Session, frame_id: int) -> Frame:
    """One frame, with its instance, group and labels loaded.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    found = session.scalar(select(Frame).where(Frame.id == frame_id).options(*_WITH_INSTANCE))
    if found is None:
        raise NotFound(
            f"There is no image {frame_id}.",
            "It may have been removed; a search gives the `frame_id` of those there.",
        )
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
    bump_encoders_of(session, instance.id)
    left = instance.group_id
    session.delete(instance)
    session.flush()
    _drop_empty_group(session, left)
    return unused_pictures(session, pictures)


def bump_encoders_of(session: Session, *instance_ids: int) -> None:
    """Tell every index that holds a feature of these instances that it goes; for who deletes frames.

    The frames are locked first, in the order of `features.add_batch`: an extraction that runs meanwhile waits.
    """
    lock_frames(session, *instance_ids)
    frame_ids = select(Frame.id).where(Frame.instance_id.in_(instance_ids))
    encoders = select(Feature.encoder_id).where(Feature.frame_id.in_(frame_ids))
    session.execute(update(Encoder).where(Encoder.id.in_(encoders)).values(generation=Encoder.generation + 1))
    gone = select(Feature.encoder_id, Encoder.generation, Feature.frame_id)
    gone = gone.where(Encoder.id == Feature.encoder_id, Feature.frame_id.in_(frame_ids))
    session.execute(insert(DroppedFeature).from_select(["encoder_id", "generation", "frame_id"], gone))


def lock_frames(session: Session, *instance_ids: int) -> None:
    """Let whoever writes about the frames of these instances do so before, or wait until this session ends."""
    frame_ids = select(Frame.id).where(Frame.instance_id.in_(instance_ids))
    session.execute(frame_ids.order_by(Frame.id).with_for_update())


def tell_anew(session: Session, *instance_ids: int) -> None:
    """Let every index forget the features of these instances and take them in again, with what a filter may ask of
    them; for who changes labels, a header, or which archive lists them."""
    today = select(Encoder.generation).where(Encoder.id == Feature.encoder_id).scalar_subquery()
    for some in in_pieces(sorted(instance_ids)):
        bump_encoders_of(session, *some)
        frame_ids = select(Frame.id).where(Frame.instance_id.in_(some))
        session.execute(update(Feature).where(Feature.frame_id.in_(frame_ids)).values(generation=today))


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


def _refuse_known_uid(session: Session, new: NewInstance) -> None:
    if find_by_sha256(session, new.sha256) is None:
        raise ConflictingInstance(
            f"The SOP Instance UID {new.sop_instance_uid} is stored with other content.",
            "Find out which of the two files is right: a UID names one object only (PS3.5, section 9).",
        )
