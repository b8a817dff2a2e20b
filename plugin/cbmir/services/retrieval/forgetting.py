"""Searches are not kept for ever, where the installation says so: what was handed in for one shows a patient."""

from __future__ import annotations

from datetime import timedelta

from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import instances, queries
from cbmir.store.clock import clock
from cbmir.store.session import Database
from cbmir.store.writing import in_pieces, serialise

UNANSWERED_KEPT_DAYS = 7
"""How long a search that failed or was cancelled can be retried, with what was handed in for it."""


def forget_old(database: Database, settings: Settings) -> int:
    """Delete the searches that failed or were cancelled and can no longer be retried; and those that ended longer
    ago than `settings.queries_kept_days`, with their answers, explanations and pictures that nothing else shows.

    Returns:
        How many searches.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer; then nothing more is deleted.
    """
    with database.write() as session:
        waited = clock(session) - timedelta(days=UNANSWERED_KEPT_DAYS)
        unanswered = queries.forget_unanswered(session, waited)
    return unanswered + (_forget_answered(database, settings) if settings.queries_kept_days > 0 else 0)


def _forget_answered(database: Database, settings: Settings) -> int:
    with database.write() as session:
        serialise(session)  # no image that shows one of their pictures is recorded meanwhile
        before = clock(session) - timedelta(days=settings.queries_kept_days)
        forgotten, pictures = queries.forget_old(session, before)
        unused = [key for some in in_pieces(pictures) for key in instances.unused_pictures(session, set(some))]
        for key in unused:  # before the session commits: else one cut off would leave pictures that no row names
            Shelf(settings.pictures).discard(key)
    return forgotten
