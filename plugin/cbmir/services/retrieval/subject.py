"""What a question is about: one picture, handed in or of the archive, and which frames are its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.modalities import modality_class
from cbmir.pictures.shelf import Shelf
from cbmir.services.ingestion.identity import group_key
from cbmir.settings import Settings
from cbmir.store import instances
from cbmir.store.tables import Frame, Instance
from cbmir.types import ByteArray, ConvertedObject, Picture


@dataclass(frozen=True)
class Subject:
    """The picture that is asked about.

    Attributes:
        picture: its key on the shelf.
        pixels: uint8; None if they are only on the shelf.
        frame_id: the archive's frame that shows this very picture, if one does.
        described: what the answer says of it: names, UIDs, frame number, labels.
        study_date: when its study was made, as far as that is known.
        own_frames: the archive's frames of the same instance: never hits.
        groups: keys of the groups that are the query's own: left out where the same patient is not wanted.
        patient_known: whether a group stands for the patient and not only for the study or the file.
    """

    picture: str
    pixels: ByteArray | None = field(repr=False)
    frame_id: int | None
    described: dict[str, Any]
    own_frames: frozenset[int]
    groups: frozenset[str]
    patient_known: bool
    study_date: date | None = None


class Numbered(Protocol):
    """One frame of several."""

    @property
    def frame_number(self) -> int: ...


Each = TypeVar("Each", bound=Numbered)


def representative(frames: Sequence[Each], frame_number: int | None, name: str) -> Each:
    """The frame of this number; without a number the middle one, where a volume shows most.

    Raises:
        cbmir.errors.NotFound: if no frame has this number.
    """
    if frame_number is None:
        return frames[len(frames) // 2]
    for frame in frames:
        if frame.frame_number == frame_number:
            return frame
    raise NotFound(
        f"{name} has no frame {frame_number} that could be asked about.",
        f"It has {len(frames)}, from {frames[0].frame_number} to {frames[-1].frame_number}.",
    )


def archived(session: Session, frame_id: int) -> Subject:
    """A frame of the archive.

    Raises:
        cbmir.errors.NotFound: if there is none of this id.
    """
    return _of_frame(instances.frame(session, frame_id))


def archived_object(session: Session, sop_instance_uid: str, frame_number: int | None) -> Subject:
    """An object of the archive: the frame asked for, else its middle one.

    Raises:
        cbmir.errors.NotFound: if there is no such object or frame.
    """
    frames = instances.frames_of(session, sop_instance_uid)
    if not frames:
        raise NotFound(f"There is no object {sop_instance_uid} in the archive.", "Ingest it, or ask with its file.")
    return _of_frame(representative(frames, frame_number, sop_instance_uid))


def handed_in(
    session: Session, converted: ConvertedObject, name: str, frame_number: int | None, settings: Settings
) -> Subject:
    """A converted file: the frame asked for, else its middle one; its picture is put on the shelf.

    The file is the archive's own if it has the same bytes or the same SOP Instance UID.

    Raises:
        cbmir.errors.NotFound: if it has no such frame.
        cbmir.errors.DiskFull: if the picture cannot be stored.
    """
    picture = representative(converted.pictures, frame_number, name)
    key = Shelf(settings.pictures).put(picture.pixels)
    known = _recognised(session, converted)
    groups = {group_key(converted, settings.resolved_secret_key)} | ({known.group.key} if known else set())
    return Subject(
        picture=key,
        pixels=picture.pixels,
        frame_id=_same_picture(known, picture, key),
        described={
            **(_describe(known) if known else _describe_unknown(converted)),
            "file_name": name,
            "frame_number": picture.frame_number,
            "frame_count": converted.frame_count,
        },
        own_frames=frozenset(frame.id for frame in known.frames) if known else frozenset(),
        groups=frozenset(groups),
        patient_known=bool(converted.header and converted.header.patient_key)
        or (known is not None and names_patient(known)),
        study_date=_date_of(converted, known),
    )


def _of_frame(frame: Frame) -> Subject:
    instance = frame.instance
    return Subject(
        picture=frame.picture,
        pixels=None,
        frame_id=frame.id,
        described={
            **_describe(instance),
            "frame_number": frame.frame_number,
            "frame_count": instance.frame_count,
        },
        own_frames=frozenset(each.id for each in instance.frames),
        groups=frozenset((instance.group.key,)),
        patient_known=names_patient(instance),
        study_date=instance.study_date,
    )


def _date_of(converted: ConvertedObject, known: Instance | None) -> date | None:
    told = converted.header.study_date if converted.header else None
    return told or (known.study_date if known else None)


def _recognised(session: Session, converted: ConvertedObject) -> Instance | None:
    known = instances.find_by_sha256(session, converted.sha256)
    if known is None and converted.header is not None:
        known = instances.find_by_sop_instance_uid(session, converted.header.sop_instance_uid)
    return known


def _same_picture(known: Instance | None, picture: Picture, key: str) -> int | None:
    frames = known.frames if known else []
    same = (each.id for each in frames if (each.frame_number, each.picture) == (picture.frame_number, key))
    return next(same, None)


def names_patient(instance: Instance) -> bool:
    """Whether the instance's group stands for a patient, and not only for its study or its file."""
    stand_ins = (f"study-{instance.study_instance_uid}", f"file-{instance.sha256[:16]}")
    return instance.group.key not in stand_ins


def _describe(instance: Instance) -> dict[str, Any]:
    return {
        "file_name": instance.file_name,
        "sop_instance_uid": instance.sop_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "study_instance_uid": instance.study_instance_uid,
        "labels": {label.name: label.value for label in instance.labels},
    }


def _describe_unknown(converted: ConvertedObject) -> dict[str, Any]:
    header = converted.header
    return {
        "sop_instance_uid": (header.sop_instance_uid or None) if header else None,
        "series_instance_uid": (header.series_instance_uid or None) if header else None,
        "study_instance_uid": (header.study_instance_uid or None) if header else None,
        "labels": {"modality": modality_class(header.modality)} if header and header.modality else {},
    }
