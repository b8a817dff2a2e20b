"""Pictures that no row names: left by a process that was killed after it had put them and before it recorded them.

No deletion finds them, since it goes by rows, and they show patients.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from cbmir.pictures.shelf import PARTS, Shelf
from cbmir.settings import Settings
from cbmir.store import frames, instances
from cbmir.store.session import Database
from cbmir.store.writing import in_pieces

STRAY_SECONDS = 24 * 3600.0
"""A picture is recorded within minutes of being put."""

MOST_STRAYS = 10
"""If more than one in so many old pictures is a stray, this is not the database that they belong to."""

log = logging.getLogger(__name__)


def discard_strays(database: Database, settings: Settings) -> int:
    """Remove the pictures that were put more than a day ago and that no frame and no query shows, and drafts of
    that age. If they are more than a tenth of all, they are left, and the log says so.

    Returns:
        How many pictures were removed.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer; then nothing is removed.
        OSError: if the folder cannot be read or written.
    """
    before, shelf = time.time() - STRAY_SECONDS, Shelf(settings.pictures)
    shelf.discard_drafts(STRAY_SECONDS)
    old, strays = 0, list[str]()
    for keys in _old(shelf, before):
        old += len(keys)
        with database.read() as session:
            strays += keys - frames.shown(session, keys)
    strays = _unused(database, strays)
    if len(strays) * MOST_STRAYS > old:
        log.warning(
            "%d of %d pictures belong to nothing in this database and are left: is it theirs?", len(strays), old
        )
        return 0
    return sum(_discarded(shelf, key, before) for key in strays)


def _old(shelf: Shelf, before: float) -> Iterator[set[str]]:
    for part in range(PARTS):
        yield from map(set, in_pieces(shelf.put_before(before, part)))


def _unused(database: Database, keys: list[str]) -> list[str]:
    with database.read() as session:
        return [key for some in in_pieces(keys) for key in instances.unused_pictures(session, set(some))]


def _discarded(shelf: Shelf, key: str, before: float) -> bool:
    stray = shelf.is_put_before(before, key)  # nobody has put it again meanwhile, to record it in a moment
    if stray:
        shelf.discard(key)
    return stray
