"""Keep the features complete of every encoder whose features are kept: the active one first."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.progress import Progress
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.lacking import lacks_any
from cbmir.store.session import Database


def extract_kept(database: Database, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Extract what any kept encoder lacks.

    Returns:
        As `cbmir.services.features.extract.extract` of the active encoder; besides `beside`, the same of each
        of the others.

    Raises:
        as `cbmir.services.features.extract.extract`.
    """
    from cbmir.services.features.extract import extract  # the web, which only asks what is next, needs no network

    with database.read() as session:
        ids = [row.id for row in encoders.kept(session)]
    first, *others = (extract(database, settings, encoder_id, progress) for encoder_id in ids)
    return {**first, "beside": others}


def next_to_extract(session: Session, after: str | None = None) -> str | None:
    """The id of the first kept encoder that lacks features; None if none does.

    Args:
        session: one that reads.
        after: only those that come after this encoder: it has just had its turn, and what it lacks cannot be had.
    """
    try:
        ids = [row.id for row in encoders.kept(session)]
    except NotFound:
        return None  # no encoder yet: the first training will see these images
    if after is not None:
        ids = ids[ids.index(after) + 1 :] if after in ids else []
    return next((each for each in ids if lacks_any(session, each)), None)
