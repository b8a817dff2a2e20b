"""What the kept indexes are: how far behind, how large, and whether every number in them is the database's."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import BrokenFile, NotFound
from cbmir.index.stamp import REMEDY, Stamp
from cbmir.services.retrieval.indexes import index_files, term_files
from cbmir.services.retrieval.indexes.backends.base import Backend
from cbmir.services.retrieval.indexes.backends.choose import check
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database
from cbmir.store.tables import Encoder


def status(database: Database, settings: Settings) -> list[dict[str, Any]]:
    """The index of each encoder that has features.

    `state` is `current`, `behind`, `outdated`, `missing` or `damaged`. `behind` counts the features that came and
    went since; they are searched beside it all the same. An outdated one is whole, but what came and went since is
    not on record; like a missing or damaged one it is made anew before the next search. `recall` is null for an
    exact one.

    Raises:
        cbmir.errors.BadRequest, cbmir.errors.Unavailable: if the backend cannot be used.
    """
    backend = check(database, settings)
    with database.read() as session:
        report = [_state(session, encoder, backend) for encoder in encoders.listing(session)]
    return [told for told in report if told["features"] or told["state"] != "missing"]


def _state(session: Session, encoder: Encoder, backend: Backend) -> dict[str, Any]:
    count = features.count(session, encoder.id)
    told: dict[str, Any] = {
        "encoder": encoder.id,
        "index": backend.name,
        "features": count,
        "generation": encoder.generation,
    }
    try:
        stamp = backend.stamp(session, encoder.id)
        told |= {"bytes": backend.size(session, encoder.id), "file_generation": stamp.generation}
    except NotFound:
        return told | {"state": "missing"}
    except BrokenFile as error:
        return told | {"state": "damaged", "reason": error.sentence}
    return told | {"recall": stamp.recall} | _lag(session, encoder, stamp)


def _lag(session: Session, encoder: Encoder, stamp: Stamp) -> dict[str, Any]:
    """How far an index with this stamp is behind; one from after the encoder's last change is of another past."""
    try:
        if stamp.generation > encoder.generation:
            raise index_files.unfollowed()
        lag = index_files.behind(session, encoder, stamp)
    except BrokenFile as error:
        return {"state": "outdated", "reason": error.sentence}
    return {"state": "behind" if lag else "current", "behind": lag}


def verify(database: Database, settings: Settings, encoder_id: str | None) -> dict[str, Any]:
    """Compare every number of an encoder's index, and every term of its filters, with the database; without an id,
    of the encoder in use.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder, or no index is kept.
        cbmir.errors.BrokenFile: if it is damaged, or holds anything else than the database.
        cbmir.errors.BadRequest, cbmir.errors.Unavailable: if the backend cannot be used.
    """
    backend = check(database, settings)
    with database.read() as session:
        encoder = encoders.resolve(session, encoder_id)
        base = index_files.opened(session, encoder, settings)
        term_files.verify(session, encoder, settings)
        changed = features.frame_ids(session, encoder, base.stamp.generation)
        wanted = features.members_of(session, encoder)  # last: what is deleted meanwhile is in neither
    expected = ~np.isin(wanted.frame_ids, changed)
    ids, vectors = wanted.frame_ids[expected], wanted.vectors[expected]
    seen = 0
    for held, theirs in backend.pieces(base.index):
        ours = np.isin(held, ids)
        seen += int(ours.sum())
        if not np.array_equal(theirs[ours], vectors[np.searchsorted(ids, held[ours])]):
            raise _differs()
    if seen != len(ids):
        raise _differs()
    return {"encoder": encoder.id, "compared": len(ids), "newer": len(changed)}


def _differs() -> BrokenFile:
    return BrokenFile("The index does not hold what the database has.", REMEDY)
