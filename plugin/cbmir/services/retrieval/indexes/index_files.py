"""Kept indexes: one an encoder, wherever the backend keeps it; made from the database, and checked against it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from filelock import FileLock, Timeout
from sqlalchemy.orm import Session

from cbmir.errors import BrokenFile, NotFound, Unavailable
from cbmir.files import translated
from cbmir.index.base import Index
from cbmir.index.stamp import REMEDY, Stamp
from cbmir.services.retrieval.indexes import term_files
from cbmir.services.retrieval.indexes.backends.base import Backend, Mark
from cbmir.services.retrieval.indexes.backends.choose import chosen
from cbmir.services.retrieval.indexes.backends.files import Files
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database
from cbmir.store.tables import Encoder

log = logging.getLogger(__name__)

CHECKED = 64
"""Members of an index that are compared with the database, number by number."""
BEHIND = 20_000
"""Changes since an index was made that are no reason to make it anew, however small it is."""
BEHIND_PART = 8
"""The same, as one in so many of its members."""
WAIT_SECONDS = 600


@dataclass(frozen=True)
class Base:
    """An index with its stamp.

    Attributes:
        mark: of what is kept; None where it could not be kept.
        stored: how many of the database's features are of the stamp's generations.
    """

    stamp: Stamp
    index: Index
    mark: Mark | None
    stored: int


def current(session: Session, encoder: Encoder, settings: Settings) -> Base:
    """The encoder's kept index; where it is missing, damaged or not this database's, it is made first.

    Of processes that find none at once one makes it, and the others wait. Where a file cannot be written, for
    instance as the disk is full, the index is held in memory alone: the answer is right, and the log says so.

    Raises:
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
        cbmir.errors.Unavailable: if a backend that is no file does not answer, or another process has been making
            the index there for ten minutes.
    """
    backend = _usable(session, settings)
    try:
        return _opened(session, encoder, backend)
    except (NotFound, BrokenFile) as error:
        if isinstance(error, BrokenFile):
            log.warning("%s", error.sentence)
    try:
        with _alone(settings, encoder.id, WAIT_SECONDS):
            try:
                return _opened(session, encoder, backend)  # another process has made it meanwhile
            except (NotFound, BrokenFile):
                return _build(session, encoder, backend, settings)
    except (Timeout, Unavailable) as error:
        if not isinstance(backend, Files):
            raise _at_work() if isinstance(error, Timeout) else error from error
        log.warning("the index is held in memory: %s", error)
        stamp, index = backend.in_memory(session, encoder)
        return Base(stamp, index, backend.mark(session, encoder.id), len(index))


def opened(session: Session, encoder: Encoder, settings: Settings) -> Base:
    """What is kept as it is, if it is this encoder's in this database and can be brought up to date.

    Raises:
        cbmir.errors.NotFound: if nothing is.
        cbmir.errors.BrokenFile: if it is damaged, of another encoder, another database or an unknown past.
    """
    return _opened(session, encoder, _usable(session, settings))


def mark(session: Session, encoder_id: str, settings: Settings) -> Mark | None:
    """The mark of what is kept now; None where nothing is."""
    return chosen(settings).mark(session, encoder_id)


def is_replaced(session: Session, encoder_id: str, seen: Mark | None, settings: Settings) -> bool:
    """Whether who opened what had this mark must open it anew: another is kept, and the old one is gone with it."""
    backend = chosen(settings)
    return not backend.lasts and backend.mark(session, encoder_id) != seen


def rebuild(database: Database, settings: Settings, encoder_id: str | None = None) -> Base:
    """Make the index of an encoder anew, whatever is kept; without an id, that of the encoder in use.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it; the old one stays.
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.Unavailable: if the backend does not answer, or another process has been at it for ten minutes.
    """
    with database.read() as session:
        encoder_id = encoders.resolve(session, encoder_id).id
    try:
        with _alone(settings, encoder_id, WAIT_SECONDS):
            return _rebuilt(database, settings, encoder_id)
    except Timeout as error:
        raise _at_work() from error


def keep_up(database: Database, settings: Settings, encoder_id: str) -> bool:
    """Make the index anew if it lags far behind, unless another process does it already; whether it was made.

    Raises:
        as `rebuild`.
    """
    return _made_if(is_due, database, settings, encoder_id)


def purge(database: Database, settings: Settings, encoder_id: str) -> bool:
    """Make the index anew if it holds a feature that was deleted, which is patient data although nobody finds it,
    unless another process does it already; whether it was made.

    Raises:
        as `rebuild`.
    """
    return _made_if(holds_deleted, database, settings, encoder_id)


def _made_if(
    wanted: Callable[[Session, Encoder, Settings], bool], database: Database, settings: Settings, encoder_id: str
) -> bool:
    with database.read() as session:
        if not wanted(session, encoders.get(session, encoder_id), settings):
            return False
    try:
        with _alone(settings, encoder_id, 0):
            _rebuilt(database, settings, encoder_id)
    except Timeout:
        return False
    return True


def _rebuilt(database: Database, settings: Settings, encoder_id: str) -> Base:
    """Make it anew. What went before it was made need not stay on record, but for others who still follow from an
    older one: so much is left of it as is no reason to make theirs anew."""
    with database.read() as session:
        base = _build(session, encoders.get(session, encoder_id), _usable(session, settings), settings)
    with database.write() as session:
        left = most_changes(len(base.index))
        features.forget_dropped(session, encoder_id, base.stamp.generation, left)
    return base


def drop(database: Database, settings: Settings, encoder_id: str) -> None:
    """Take away the index of an encoder that has no features any more."""
    with _alone(settings, encoder_id, WAIT_SECONDS), database.read() as session:
        _usable(session, settings).drop(session, encoder_id)
        term_files.path(settings, encoder_id).unlink(missing_ok=True)


def is_due(session: Session, encoder: Encoder, settings: Settings) -> bool:
    """Whether so much has changed since the index was made that searching beside it costs more than making it."""
    try:
        lag = behind(session, encoder, _usable(session, settings).stamp(session, encoder.id))
    except (NotFound, BrokenFile):
        return True
    return lag > most_changes(features.count(session, encoder.id))


def holds_deleted(session: Session, encoder: Encoder, settings: Settings) -> bool:
    """Whether there is an index, and in it a feature that was deleted since it was made."""
    try:
        made = _usable(session, settings).stamp(session, encoder.id).generation
    except NotFound:
        return False
    except BrokenFile:  # nobody knows what is in it
        return True
    return encoder.followed_from > made or len(features.dropped(session, encoder, made)) > 0


def most_changes(count: int) -> int:
    """So many changes are searched beside an index before it is made anew, where there are so many features."""
    return max(BEHIND, count // BEHIND_PART)


def behind(session: Session, encoder: Encoder, stamp: Stamp) -> int:
    """How many features have come and gone since.

    Raises:
        cbmir.errors.BrokenFile: if that is not on record any more.
    """
    added = features.count(session, encoder.id) - features.count_until(session, encoder.id, stamp.generation)
    return added + len(features.dropped(session, encoder, stamp.generation))


def _usable(session: Session, settings: Settings) -> Backend:
    """The backend that the settings name, after it was seen that it can be used."""
    backend = chosen(settings)
    backend.check(session)
    return backend


def _opened(session: Session, encoder: Encoder, backend: Backend) -> Base:
    seen = backend.mark(session, encoder.id)  # before it is read: a newer one is then noticed
    stamp, index = backend.read(session, encoder.id)
    stored = features.count_until(session, encoder.id, stamp.generation)
    _match(session, encoder, backend, stamp, index, stored)
    return Base(stamp, index, seen, stored)


def _build(session: Session, encoder: Encoder, backend: Backend, settings: Settings) -> Base:
    """Make it anew, as of the generation that `encoder` was read with."""
    backend.write(session, encoder)
    term_files.build(session, encoder, settings)
    return _opened(session, encoder, backend)


def _match(session: Session, encoder: Encoder, backend: Backend, stamp: Stamp, index: Index, stored: int) -> None:
    """Refuse what cannot be of this database: a wrong number of members, or others than are stored."""
    if index.dimension != encoder.dimension:
        raise BrokenFile(f"The index is not of features of {encoder.dimension} numbers.", REMEDY)
    if not encoder.followed_from <= stamp.generation <= encoder.generation:
        raise unfollowed()
    gone = np.unique(features.dropped(session, encoder, stamp.generation))
    left = len(index) - int(index.contains(gone).sum())
    if stored > left:
        raise BrokenFile("The index lacks features that the database has.", REMEDY)
    if not _equal(session, encoder, backend, index, stamp):
        raise BrokenFile("The index holds features that the database has not.", REMEDY)


def _equal(session: Session, encoder: Encoder, backend: Backend, index: Index, stamp: Stamp) -> bool:
    """Whether some members are the database's, but for those that went since the index was made."""
    ids, vectors = backend.sample(index, CHECKED)
    stored = features.vectors_of(session, encoder.id, ids.tolist())
    held = zip(ids.tolist(), vectors.astype(features.STORED), strict=True)
    others = {frame_id for frame_id, vector in held if stored.get(frame_id) != vector.tobytes()}
    return others <= features.went(session, encoder.id, others, stamp.generation)


def unfollowed() -> BrokenFile:
    """That an index is whole, but of a past or a future that this database does not know."""
    return BrokenFile("The index is of a generation that the database cannot follow from.", REMEDY)


def _at_work() -> Unavailable:
    return Unavailable("Another process builds this index.", "Repeat when it has ended.")


def _alone(settings: Settings, encoder_id: str, seconds: float) -> FileLock:
    path = lock_path(settings, encoder_id)
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()  # the lock itself would say in a foreign error that it cannot be written
    return FileLock(path, timeout=seconds)


def lock_path(settings: Settings, encoder_id: str) -> Path:
    """What is locked by who makes the index of an encoder on this machine, in whichever backend."""
    return settings.indexes / f"{quote(encoder_id, safe='')}.lock"
