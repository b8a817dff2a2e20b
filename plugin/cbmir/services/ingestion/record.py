"""One file at a time: prepared without the database's write lock, then recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import PurePosixPath

from sqlalchemy.orm import Session

from cbmir.archive.folder import Content, Source, size_of
from cbmir.archive.manifest import CONTENT, Labeller
from cbmir.errors import ConflictingInstance, ConflictingLabels
from cbmir.labels import tidied
from cbmir.modalities import modality_class
from cbmir.pictures.shelf import Shelf
from cbmir.services.conversion import outdated
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.conversion.keep import header_of, keep
from cbmir.services.ingestion.identity import group_key
from cbmir.settings import Settings
from cbmir.store import completing, instances, queries
from cbmir.store.labels import set_labels
from cbmir.store.new_instances import NewInstance
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.types import ConvertedObject, InstanceHeader, Labelling, LabelOrigin, NewFrame


class Outcome(Enum):
    """What became of a file that could be used."""

    INGESTED = auto()
    RENEWED = auto()
    """Its bytes were known, but an earlier conversion had made its pictures: they are replaced."""
    DUPLICATE = auto()
    REPLACED = auto()
    """Its archive has other bytes under the known UID now: what was kept of it is replaced."""
    UNWANTED = auto()
    """Nothing is written: its archive has deleted or replaced it meanwhile."""
    LATER = auto()
    """Nothing is written yet: the write lock should not be held longer."""
    BARE = auto()
    """Nothing is written: an image that showed the same was deleted meanwhile, and its pictures with it."""
    INCOMPARABLE = auto()
    """Nothing is written: its UID is known with other bytes, and with pictures of another conversion."""


@dataclass(frozen=True)
class Recorded:
    """The outcome, and keys of pictures that nothing uses once the session has committed."""

    outcome: Outcome
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A file read, hashed and - unless it is known already - converted, its pictures on the shelf.

    Attributes:
        file_name: as it will be shown and exported.
        converted: None if the very bytes are known already, and its pictures are there, as made today.
        frames: one for each picture of `converted`.
        header: read where the very bytes are known, but not all that is kept of a header today.
    """

    source: Source
    sha256: str
    file_name: str
    labelling: Labelling | None
    group: str
    converted: ConvertedObject | None
    frames: tuple[NewFrame, ...]
    header: InstanceHeader | None = None


def prepare(
    source: Source,
    content: Content,
    sha256: str,
    labeller: Labeller,
    database: Database,
    settings: Settings,
    isolation: Isolation,
    *,
    is_new: bool = False,
) -> Prepared:
    """Convert a file unless its bytes are known and its pictures are there, as they would be made today.

    Args:
        source: where it came from.
        content: what is in it.
        sha256: of its bytes.
        labeller: knows its labels.
        database: the installation's.
        settings: the installation's.
        isolation: where it is converted.
        is_new: whether its bytes need not be looked up, since hardly anybody can know them.

    Raises:
        cbmir.errors.UnusableInput: if it cannot be used; the leaf says why.
    """
    labelling = labeller.of(source)
    known = Prepared(source, sha256, source.file_name, labelling, "", None, ())
    if not is_new and _is_up_to_date(sha256, database, settings):
        return replace(known, header=_missing_header(source, content, sha256, database, settings, isolation))
    name = PurePosixPath(source.file_name).name
    converted, frames = isolation.run(name, size_of(content), keep, content, name, settings, sha256)
    return replace(
        known,
        file_name=_shown_name(source, converted, labelling),
        group=(labelling and labelling.group) or group_key(converted, settings.resolved_secret_key),
        converted=converted,
        frames=frames,
    )


def _is_up_to_date(sha256: str, database: Database, settings: Settings) -> bool:
    with database.read() as session:
        made_by = instances.pictures_of(session, sha256)
    there = all(map(Shelf(settings.pictures).has, made_by))  # not where the database alone was put back
    return bool(made_by) and there and not outdated.among(made_by.values(), settings)


def _missing_header(
    source: Source, content: Content, sha256: str, database: Database, settings: Settings, isolation: Isolation
) -> InstanceHeader | None:
    """The header of a known object of which an earlier version kept less."""
    with database.read() as session:
        if not completing.is_incomplete(session, sha256):
            return None
    name = PurePosixPath(source.file_name).name
    return isolation.run(name, size_of(content), header_of, content, name, settings)


def _shown_name(source: Source, converted: ConvertedObject, labelling: Labelling | None) -> str:
    # folders of an exported archive are often named after patients: a DICOM object keeps its base name only,
    # unless a manifest, which somebody wrote for this purpose, names it
    if labelling and labelling.origin is LabelOrigin.MANIFEST:
        return source.file_name
    return PurePosixPath(source.file_name).name if converted.header else source.file_name


def record(session: Session, prepared: Prepared, *, believe_uid: bool = False, replaces: bool = False) -> Recorded:
    """Write one prepared file into the database.

    Args:
        session: one that writes.
        prepared: from `prepare`.
        replaces: whether it takes the place of a known object of the same UID, as where it comes from an archive
            whose word counts.
        believe_uid: take an object of the same SOP Instance UID for the same one where their pictures, which
            different conversions made, cannot be compared (PS3.5, section 9).

    Raises:
        cbmir.errors.ConflictingInstance: if its SOP Instance UID is known with other pixels.
        cbmir.errors.ConflictingLabels: if it is known under another name with other labels.
    """
    if known := instances.find_by_sha256(session, prepared.sha256):
        _label_again(session, known, prepared)
        completing.complete(session, known, prepared.header)
        return _renewed(session, known, prepared)
    converted = prepared.converted
    if converted is None:
        raise ConflictingInstance(
            f"{prepared.file_name} was removed from the archive while it was ingested.", "Ingest it again."
        )
    if known := _of_same_uid(session, converted):
        if replaces:
            return _replaced(session, known, prepared, converted)
        if not believe_uid and instances.pipelines(session, known) != {converted.pipeline}:
            return Recorded(Outcome.INCOMPARABLE)
        _refuse_other_pixels(session, known, prepared, converted)
        _label_again(session, known, prepared)
        completing.complete(session, known, converted.header)
        return Recorded(Outcome.DUPLICATE)
    instances.add_all(session, [new_instance(prepared, converted)])
    return Recorded(Outcome.INGESTED)


def new_instance(prepared: Prepared, converted: ConvertedObject) -> NewInstance:
    """What a prepared file that is new adds.

    Raises:
        cbmir.errors.BadRequest: if a label or the group's key cannot be kept.
    """
    return NewInstance.of(
        header=converted.header,
        file_name=prepared.file_name,
        origin=prepared.source.origin,
        sha256=prepared.sha256,
        group_key=prepared.group,
        frames=prepared.frames,
        labels=_labels(converted, prepared.labelling),
        frame_count=converted.frame_count,
    )


def _renewed(session: Session, known: Instance, prepared: Prepared) -> Recorded:
    converted = prepared.converted
    if converted is None:
        return Recorded(Outcome.DUPLICATE)
    instances.hold(session, known)
    if _shows(known, prepared):
        return Recorded(Outcome.DUPLICATE)  # another process was quicker, or its pictures were lost
    return Recorded(Outcome.RENEWED, _frames_renewed(session, known, prepared, converted))


def _shows(known: Instance, prepared: Prepared) -> bool:
    """Whether an instance's pictures are those of the prepared file."""
    shown = {(frame.frame_number, frame.picture, frame.pipeline) for frame in known.frames}
    return shown == {(frame.frame_number, frame.picture, frame.pipeline) for frame in prepared.frames}


def _frames_renewed(
    session: Session, known: Instance, prepared: Prepared, converted: ConvertedObject
) -> tuple[str, ...]:
    """Replace an instance's frames; the pictures that nothing shows any more."""
    header, count = converted.header, converted.frame_count
    return tuple(instances.renew(session, known, header=header, frames=prepared.frames, frame_count=count))


def _replaced(session: Session, known: Instance, prepared: Prepared, converted: ConvertedObject) -> Recorded:
    instances.hold(session, known)
    unused: tuple[str, ...] = ()
    shows = _shows(known, prepared)
    if not shows or _is_moved(known, converted):  # by frame and study a later deletion finds the answers
        instances.lock_frames(session, known.id)
        unused += tuple(queries.forget(session, [known]))
    if not shows:
        unused += _frames_renewed(session, known, prepared, converted)
    instances.identify(
        session,
        known,
        header=converted.header,
        sha256=prepared.sha256,
        origin=prepared.source.origin,
        group_key=prepared.group,
    )
    header_labels = {name: value for name, (value, _) in _labels(converted, None).items()}
    set_labels(session, known, header_labels, LabelOrigin.HEADER)
    return Recorded(Outcome.REPLACED, unused)


def _is_moved(known: Instance, converted: ConvertedObject) -> bool:
    return converted.header is not None and converted.header.study_instance_uid != known.study_instance_uid


def _of_same_uid(session: Session, converted: ConvertedObject) -> Instance | None:
    header = converted.header
    return instances.find_by_sop_instance_uid(session, header.sop_instance_uid) if header else None


def _refuse_other_pixels(session: Session, known: Instance, prepared: Prepared, converted: ConvertedObject) -> None:
    comparable = instances.pipelines(session, known) == {converted.pipeline}
    if comparable and {frame.picture for frame in known.frames} != {frame.picture for frame in prepared.frames}:
        raise ConflictingInstance(
            f"{prepared.file_name} has other pixels than the object known as {known.sop_instance_uid}.",
            "Keep the one that is right; give the other a UID of its own.",
        )


def _labels(converted: ConvertedObject, labelling: Labelling | None) -> dict[str, tuple[str, LabelOrigin]]:
    labels: dict[str, tuple[str, LabelOrigin]] = {}
    if converted.header and converted.header.modality:
        labels["modality"] = modality_class(converted.header.modality), LabelOrigin.HEADER
    if labelling:
        labels.update({name: (value, labelling.origin) for name, value in labelling.labels.items()})
    return labels


def _label_again(session: Session, known: Instance, prepared: Prepared) -> None:
    labelling = prepared.labelling
    if labelling is None:
        return
    if prepared.source.file_name != known.file_name and _contradicts(known, labelling):
        raise ConflictingLabels(
            f"{prepared.source.file_name} is the same file as {known.file_name} but has other labels.",
            "Decide which are right, correct the manifest or the folders, and ingest again.",
        )
    set_labels(session, known, labelling.labels, labelling.origin)
    if labelling.group:
        instances.set_group(session, known, labelling.group)


def _contradicts(known: Instance, labelling: Labelling) -> bool:
    """Whether both say something else of what the picture shows; the same picture may come from two sources."""
    labels = {label.name: label.value for label in known.labels if label.origin == labelling.origin}
    told = {name: tidied(value) for name, value in labelling.labels.items()}
    return any(labels.get(name, said) != said for name, said in told.items() if name in CONTENT)
