"""The features that a query is compared with: an index, opened once a process, and kept up to date."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from threading import Lock, Thread
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import BrokenFile, CbmirError
from cbmir.index import lookup
from cbmir.index.live import LiveIndex
from cbmir.index.terms import Terms
from cbmir.services.conversion import outdated
from cbmir.services.retrieval.indexes import index_files, term_files
from cbmir.services.retrieval.indexes.backends.base import Filtering, Mark
from cbmir.settings import Settings
from cbmir.store import encoders, features, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.terms import terms_of
from cbmir.types import IdArray

log = logging.getLogger(__name__)

KEPT = 2
"""Galleries kept for one database: those of the encoders asked for last."""


@dataclass(frozen=True)
class Gallery:
    """All features of one encoder, ready to be searched, and the stamp of what they are.

    Attributes:
        generation: of the encoder's features: it holds those of this one, no newer and no older.
        pipelines: the conversions that made their pictures, and perhaps some whose features are gone.
        outdated: int64 (m,), ascending: those whose features are of pictures that an earlier conversion made.
        mark: of the kept index that it is based on; None where it has none.
        terms: what a filter may ask of its frames.
        recall: the share of the true 10 nearest that it finds, as measured; None where it finds all.
    """

    encoder_id: str
    generation: int
    index: LiveIndex
    pipelines: frozenset[str]
    outdated: IdArray
    mark: Mark | None
    terms: Terms
    recall: float | None = None

    @property
    def frame_ids(self) -> IdArray:
        """int64 (n,), ascending: the frames whose features it holds."""
        return self.index.members()

    def held(self, frame_ids: Collection[int], among: IdArray | None = None) -> set[int]:
        """Which of these frames are in the gallery, or among some of it (ascending ids)."""
        wanted = np.fromiter(frame_ids, np.int64, len(frame_ids))
        inside = self.index.contains(wanted) if among is None else lookup.holds(among, wanted)
        return set(wanted[inside].tolist())

    def filtered_by(self, where: Where) -> LiveIndex:
        """Its index, for searches among all that a filter keeps, which it may work out by itself."""
        base = self.index.base
        return replace(self.index, base=base.by(where)) if isinstance(base, Filtering) else self.index


class Galleries:
    """The galleries that this process holds; threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._renewing: Thread | None = None
        self._held: WeakKeyDictionary[Database, OrderedDict[str, Gallery]] = WeakKeyDictionary()

    def of(self, database: Database, session: Session, encoder: tables.Encoder, settings: Settings) -> Gallery:
        """The encoder's gallery as of `encoder.generation`, which the session must just have read.

        Where another index is kept by now, or this one lags far behind, it is renewed beside the queries.

        Raises:
            cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
        """
        with self._lock:
            held = self._held.setdefault(database, OrderedDict())
            gallery, renew = held.pop(encoder.id, None), False
            if gallery is None or _is_stale(gallery, session, encoder, settings):
                gallery = _renewed(gallery, session, encoder, settings)
                renew = index_files.mark(session, encoder.id, settings) != gallery.mark
            held[encoder.id] = gallery
            while len(held) > KEPT:
                held.popitem(last=False)
            if renew or gallery.index.changes > index_files.most_changes(len(gallery.index)):
                self._renew(database, settings, encoder.id)
            return gallery

    def _renew(self, database: Database, settings: Settings, encoder_id: str) -> None:
        """Make the index anew if it lags, and open what is kept, unless that is being done already."""
        if self._renewing is None or not self._renewing.is_alive():
            work = (database, settings, encoder_id)
            self._renewing = Thread(target=self._open_anew, args=work, name="index")
            self._renewing.start()

    def _open_anew(self, database: Database, settings: Settings, encoder_id: str) -> None:
        try:
            index_files.keep_up(database, settings, encoder_id)
            with database.read() as session:
                gallery = _based(session, encoders.get(session, encoder_id), settings)
        except CbmirError as error:
            log.warning("the index stays as it is: %s", error.sentence)
            return
        with self._lock:
            held = self._held.get(database, OrderedDict())
            if encoder_id in held:
                held[encoder_id] = gallery


def _is_stale(gallery: Gallery, session: Session, encoder: tables.Encoder, settings: Settings) -> bool:
    return gallery.generation != encoder.generation or index_files.is_replaced(
        session, encoder.id, gallery.mark, settings
    )


def _renewed(gallery: Gallery | None, session: Session, encoder: tables.Encoder, settings: Settings) -> Gallery:
    """The gallery brought up to date as long as what it is based on can be followed from, else the kept index."""
    if (
        gallery is None
        or not encoder.followed_from <= gallery.generation <= encoder.generation
        or index_files.is_replaced(session, encoder.id, gallery.mark, settings)
    ):
        return _based(session, encoder, settings)
    try:
        return _brought_up(gallery, session, encoder, settings)
    except BrokenFile:  # what went since has just been taken off the record
        return _based(session, encoder, settings)


def _based(session: Session, encoder: tables.Encoder, settings: Settings) -> Gallery:
    base = index_files.current(session, encoder, settings)
    pipelines = frozenset(base.stamp.pipelines)
    gallery = Gallery(
        encoder_id=encoder.id,
        generation=base.stamp.generation,
        index=LiveIndex.over(base.index),
        pipelines=pipelines,
        outdated=np.empty(0, np.int64),
        mark=base.mark,
        terms=term_files.current(session, encoder, settings, {base.stamp.generation: base.stored}),
        recall=base.stamp.recall,
    )
    return _brought_up(gallery, session, encoder, settings)


def _brought_up(gallery: Gallery, session: Session, encoder: tables.Encoder, settings: Settings) -> Gallery:
    new = features.members_of(session, encoder, gallery.generation)
    gone = features.dropped(session, encoder, gallery.generation)
    pipelines = gallery.pipelines | new.pipelines
    old = features.frame_ids_made_by(session, encoder.id, outdated.among(pipelines, settings))
    index, terms = gallery.index, gallery.terms
    if len(gone) + len(new.frame_ids):
        index = index.changed(gone, new.frame_ids, new.vectors)
        terms = terms.changed(gone, new.frame_ids, terms_of(session, encoder, gallery.generation))
    return replace(
        gallery, generation=encoder.generation, index=index, pipelines=pipelines, outdated=old, terms=terms
    )


GALLERIES = Galleries()
"""Those of this process."""
