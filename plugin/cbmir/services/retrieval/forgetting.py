"""Searches are not kept for ever, where the installation says so: what was handed in for one shows a patient."""

from __future__ import annotations

from datetime import timedelta

from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import instances, queries
from cbmir.store.clock import clock
from cbmir.store.session import Database
from cbmir.store.writing import in_pieces


def forget_old(database: Database, settings: Settings) -> int:
    """Delete the searches that ended longer ago than `settings.queries_kept_days`, with their answers, explanations
    and the pictures that nothing else shows.

    Returns:
        How many searches.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer; then nothing is deleted.
    """
    if settings.queries_kept_days <= 0:
        return 0
    with database.write() as session:
        before = clock(session) - timedelta(days=settings.queries_kept_days)
        forgotten, pictures = queries.forget_old(session, before)
        unused = [key for some in in_pieces(pictures) for key in instances.unused_pictures(session, set(some))]
        for key in unused:  # before the session commits: else one cut off would leave pictures that no row names
            Shelf(settings.pictures).discard(key)
    return forgotten
