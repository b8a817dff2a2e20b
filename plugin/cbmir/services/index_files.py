"""Index files: one an encoder, below the data folder; made from the database, and checked against it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from filelock import FileLock, Timeout
from sqlalchemy.orm import Session

from cbmir.errors import BrokenFile, NotFound, Unavailable
from cbmir.index import exact, file
from cbmir.index.exact import ExactIndex
from cbmir.index.file import Stamp
from cbmir.services import term_files
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database
from cbmir.store.tables import Encoder

log = logging.getLogger(__name__)

Mark = tuple[int, int]
"""Inode and time in nanoseconds of a file: another one has another."""
CHECKED = 64
"""Members of a file that are compared with the database, number by number."""
BEHIND = 20_000
"""Changes since a file was made that are no reason to make it anew, however small it is."""
BEHIND_PART = 8
"""The same, as one in so many of its members."""
WAIT_SECONDS = 600


@dataclass(frozen=True)
class Base:
    """An index with its stamp, and the mark of its file; None where it could not be written."""

    stamp: Stamp
    index: ExactIndex
    mark: Mark | None


def path(settings: Settings, encoder_id: str) -> Path:
    """Where the index file of an encoder is."""
    return settings.indexes / f"{quote(encoder_id, safe='')}.index"


def mark(settings: Settings, encoder_id: str) -> Mark | None:
    """The mark of the file that is there now; None where there is none."""
    try:
        found = path(settings, encoder_id).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def current(session: Session, encoder: Encoder, settings: Settings) -> Base:
    """What the encoder's index file holds; where it is missing, damaged or not this database's, it is made first.

    Of processes that find none at once one makes it, and the others wait. Where the disk is full, the index is held
    in memory alone: the answer is right, and the log says so.

    Raises:
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
    """
    try:
        return opened(session, encoder, settings)
    except (NotFound, BrokenFile) as error:
        if isinstance(error, BrokenFile):
            log.warning("%s", error.sentence)
    try:
        with _alone(settings, encoder.id, WAIT_SECONDS):
            try:
                return opened(session, encoder, settings)  # another process has made it meanwhile
            except (NotFound, BrokenFile):
                return build(session, encoder, settings)
    except Timeout:
        stamp, index = _made(session, encoder)
        return Base(stamp, index, mark(settings, encoder.id))
    except Unavailable as error:
        log.warning("the index is held in memory: %s", error.sentence)
        stamp, index = _made(session, encoder)
        return Base(stamp, index, mark(settings, encoder.id))


def opened(session: Session, encoder: Encoder, settings: Settings) -> Base:
    """The file as it is, if it is this encoder's in this database and can be brought up to date.

    Raises:
        cbmir.errors.NotFound: if there is none.
        cbmir.errors.BrokenFile: if it is damaged, of another encoder, another database or an unknown past.
    """
    seen = mark(settings, encoder.id)  # before it is read: a newer one is then noticed
    stamp, index = file.read(path(settings, encoder.id), encoder.id)
    _match(session, encoder, stamp, index)
    return Base(stamp, index, seen)


def build(session: Session, encoder: Encoder, settings: Settings) -> Base:
    """Make the file anew from the database, as of the generation that `encoder` was read with.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it; the old file stays.
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
    """
    stamp, index = _made(session, encoder)
    file.write(path(settings, encoder.id), stamp, index)
    term_files.build(session, encoder, settings)
    return opened(session, encoder, settings)


def rebuild(database: Database, settings: Settings, encoder_id: str | None = None) -> Base:
    """Make the index file of an encoder anew, whatever is there; without an id, that of the encoder in use.

    Raises:
        as `build`.
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.Unavailable: if another process has been at it for ten minutes.
    """
    with database.read() as session:
        encoder_id = encoders.resolve(session, encoder_id).id
    try:
        with _alone(settings, encoder_id, WAIT_SECONDS), database.read() as session:
            return build(session, encoders.get(session, encoder_id), settings)
    except Timeout as error:
        raise Unavailable("Another process builds this index.", "Repeat when it has ended.") from error


def keep_up(database: Database, settings: Settings, encoder_id: str) -> bool:
    """Make the file anew if it lags far behind, unless another process does it already; whether it was made.

    Raises:
        as `build`.
    """
    with database.read() as session:
        if not is_due(session, encoders.get(session, encoder_id), settings):
            return False
    try:
        with _alone(settings, encoder_id, 0), database.read() as session:
            build(session, encoders.get(session, encoder_id), settings)
    except Timeout:
        return False
    return True


def is_due(session: Session, encoder: Encoder, settings: Settings) -> bool:
    """Whether so much has changed since the file was made that searching beside it costs more than making it."""
    try:
        stamp = file.read_stamp(path(settings, encoder.id), encoder.id)
    except (NotFound, BrokenFile):
        return True
    return behind(session, encoder, stamp) > most_changes(features.count(session, encoder.id))


def most_changes(count: int) -> int:
    """So many changes are searched beside a file before it is made anew, where there are so many features."""
    return max(BEHIND, count // BEHIND_PART)


def behind(session: Session, encoder: Encoder, stamp: Stamp) -> int:
    """How many features have come and gone since."""
    added = features.count(session, encoder.id) - features.count_until(session, encoder.id, stamp.generation)
    return added + len(features.dropped(session, encoder, stamp.generation))


def _made(session: Session, encoder: Encoder) -> tuple[Stamp, ExactIndex]:
    members = features.members_of(session, encoder)
    stamp = Stamp(encoder.id, encoder.generation, tuple(sorted(members.pipelines)))
    return stamp, exact.build(members.frame_ids, members.vectors)


def _match(session: Session, encoder: Encoder, stamp: Stamp, index: ExactIndex) -> None:
    """Refuse a file that cannot be of this database: a wrong number of members, or others than are stored."""
    if not encoder.followed_from <= stamp.generation <= encoder.generation:
        raise BrokenFile("The index file is of a generation that the database cannot follow from.", file.REMEDY)
    gone = features.dropped(session, encoder, stamp.generation)
    left = len(index) - int(index.contains(np.unique(gone)).sum())
    if features.count_until(session, encoder.id, stamp.generation) > left:
        raise BrokenFile("The index file lacks features that the database has.", file.REMEDY)
    if not _equal(session, encoder, index, gone):
        raise BrokenFile("The index file holds features that the database has not.", file.REMEDY)


def _equal(session: Session, encoder: Encoder, index: ExactIndex, gone: features.IdArray) -> bool:
    every = max(1, len(index) // CHECKED)
    some = [row for row in range(0, len(index), every) if index.cells.ids[row] not in set(gone.tolist())]
    ids = index.cells.ids[some].tolist()
    stored = features.vectors_of(session, encoder.id, ids)
    ours = index.cells.vectors[some].astype(features.STORED)
    return all(stored.get(frame_id) == vector.tobytes() for frame_id, vector in zip(ids, ours, strict=True))


def _alone(settings: Settings, encoder_id: str, seconds: float) -> FileLock:
    settings.indexes.mkdir(parents=True, exist_ok=True)
    return FileLock(path(settings, encoder_id).with_suffix(".lock"), timeout=seconds)
