"""Files of terms: beside the index files, made from the database, and checked against it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import BrokenFile, NotFound, Unavailable
from cbmir.index import terms as file
from cbmir.index.stamp import REMEDY
from cbmir.index.terms import NONE, Terms
from cbmir.settings import Settings
from cbmir.store import features
from cbmir.store.tables import Encoder
from cbmir.store.terms import terms_of

log = logging.getLogger(__name__)

Counted = Mapping[int, int]
"""By generation, how many of the database's features are of this one or an earlier one, where that is known."""
UNCOUNTED: Counted = MappingProxyType({})


def path(settings: Settings, encoder_id: str) -> Path:
    """Where the terms of an encoder's gallery are."""
    return settings.indexes / f"{quote(encoder_id, safe='')}.terms"


def current(session: Session, encoder: Encoder, settings: Settings, counted: Counted = UNCOUNTED) -> Terms:
    """The terms of all frames that have a feature, as of the generation that `encoder` was read with.

    Where the file is missing, damaged or not this database's it is made first; a full disk is logged, and the terms
    are held in memory alone. What has just been counted is not counted again.
    """
    try:
        generation, terms = file.read(path(settings, encoder.id), encoder.id)
        return _brought_up(session, encoder, generation, terms, counted)
    except NotFound:
        return build(session, encoder, settings)
    except BrokenFile as error:
        log.warning("%s", error.sentence)
        return build(session, encoder, settings)


def build(session: Session, encoder: Encoder, settings: Settings) -> Terms:
    """Make the file anew from the database; where it cannot be written, the log says so and the old one stays."""
    terms = _made(session, encoder)
    try:
        file.write(path(settings, encoder.id), encoder.id, encoder.generation, terms)
    except Unavailable as error:
        log.warning("the filters' terms are held in memory: %s", error.sentence)
    return terms


def verify(session: Session, encoder: Encoder, settings: Settings) -> None:
    """Compare a file, if there is one, with the database.

    Raises:
        cbmir.errors.BrokenFile: if it is damaged, or says anything else than the database.
    """
    try:
        found = file.read(path(settings, encoder.id), encoder.id)
    except NotFound:
        return
    if _brought_up(session, encoder, *found) != _made(session, encoder):
        raise BrokenFile("The file of terms does not say what the database does.", REMEDY)


def _made(session: Session, encoder: Encoder) -> Terms:
    return NONE.changed(np.empty(0, np.int64), features.frame_ids(session, encoder), terms_of(session, encoder))


def _brought_up(
    session: Session, encoder: Encoder, generation: int, terms: Terms, counted: Counted = UNCOUNTED
) -> Terms:
    """The terms of a file, and what came and went since; it is refused if it cannot be of this database."""
    if not encoder.followed_from <= generation <= encoder.generation:
        raise BrokenFile("The file of terms is of a generation that the database cannot follow from.", REMEDY)
    gone = features.dropped(session, encoder, generation)
    stored = counted.get(generation)
    if stored is None:
        stored = features.count_until(session, encoder.id, generation)
    if len(terms.members - file.bitmap(gone)) != stored:
        raise BrokenFile("The file of terms is of other features than the database has.", REMEDY)
    if generation == encoder.generation:
        return terms
    come = features.frame_ids(session, encoder, generation)
    return terms.changed(gone, come, terms_of(session, encoder, generation))
