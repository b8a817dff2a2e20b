"""Stored instances gone through one by one, each with an outcome of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy.orm import Session

from cbmir.errors import CbmirError, NotFound, Unavailable
from cbmir.progress import Progress
from cbmir.store.session import Database
from cbmir.store.tables import Instance

AT_ONCE = 500
"""Rows read from the database at one time."""

Report = Callable[[str, CbmirError], None]
"""Told of an instance's file name, and why nothing became of it."""
Listing = Callable[[Session, int, int], Sequence[Instance]]
"""Some instances above a row id, by id: a session, that id, and how many at most."""


def outcomes(
    database: Database,
    total: int,
    listing: Listing,
    outcome: Callable[[Instance], str],
    progress: Progress,
    report: Report | None,
) -> Counter[str]:
    """How often each outcome came: what `outcome` says; `gone` where it does not find something, else `failed`.

    Args:
        database: the installation's.
        total: how many there are, about.
        listing: gives them.
        outcome: deals with one.
        progress: told after each.
        report: told why one is gone or failed.

    Raises:
        cbmir.errors.JobCancelled: if progress says so.
        cbmir.errors.Unavailable: if `outcome` says so: the rest would fare no better.
    """
    counts: Counter[str] = Counter()
    progress.update(0, total)
    for done, instance in enumerate(_all(database, listing), start=1):
        counts[_outcome(instance, outcome, report)] += 1
        progress.update(done, max(done, total))
    return counts


def _all(database: Database, listing: Listing) -> Iterator[Instance]:
    after = 0
    while True:
        with database.read() as session:
            found = listing(session, after, AT_ONCE)
        if not found:
            return
        yield from found
        after = found[-1].id


def _outcome(instance: Instance, outcome: Callable[[Instance], str], report: Report | None) -> str:
    try:
        return outcome(instance)
    except Unavailable:
        raise
    except CbmirError as error:
        if report:
            report(instance.file_name, error)
        return "gone" if isinstance(error, NotFound) else "failed"
