"""The features that a query is compared with: loaded once a process, and again when they have changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy.orm import Session

from cbmir.index import registry
from cbmir.index.base import Index
from cbmir.services import outdated
from cbmir.settings import Settings
from cbmir.store import features, tables
from cbmir.store.frames import IdArray
from cbmir.store.session import Database

KEPT = 2
"""Galleries kept in memory for one database: those of the encoders asked for last."""


@dataclass(frozen=True)
class Gallery:
    """All features of one encoder, ready to be searched, and the stamp of what they were made from.

    Attributes:
        generation: of the encoder's features when they were read; another number means that they have changed.
        frame_ids: int64 (n,), ascending.
        outdated: int64 (m,), ascending: those whose features are of pictures that an earlier conversion made.
    """

    encoder_id: str
    generation: int
    frame_ids: IdArray
    index: Index
    outdated: IdArray

    def held(self, frame_ids: Collection[int], among: IdArray | None = None) -> set[int]:
        """Which of these frames are in the gallery, or among some of it (ascending ids)."""
        searched = self.frame_ids if among is None else among
        wanted = np.fromiter(frame_ids, np.int64, len(frame_ids))
        places = np.searchsorted(searched, wanted)
        inside = places < len(searched)
        inside[inside] = searched[places[inside]] == wanted[inside]
        return set(wanted[inside].tolist())


class Galleries:
    """The galleries that this process holds; threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: WeakKeyDictionary[Database, OrderedDict[str, Gallery]] = WeakKeyDictionary()

    def of(self, database: Database, session: Session, encoder: tables.Encoder, settings: Settings) -> Gallery:
        """The encoder's gallery as of `encoder.generation`, which the session must just have read.

        Raises:
            cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
        """
        with self._lock:
            held = self._held.setdefault(database, OrderedDict())
            gallery = held.pop(encoder.id, None)
            if gallery is None or gallery.generation != encoder.generation:
                gallery = _load(session, encoder, settings)
            held[encoder.id] = gallery
            while len(held) > KEPT:
                held.popitem(last=False)
            return gallery


def _load(session: Session, encoder: tables.Encoder, settings: Settings) -> Gallery:
    frame_ids, vectors = features.matrix(session, encoder.id)
    old = outdated.among(features.pipelines(session, encoder.id), settings)
    return Gallery(
        encoder.id,
        encoder.generation,
        frame_ids,
        registry.build(frame_ids, vectors),
        features.frame_ids_made_by(session, encoder.id, old),
    )


GALLERIES = Galleries()
"""Those of this process."""
