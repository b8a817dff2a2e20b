"""What goes wrong with an archive is noted where its status tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cbmir.errors import (
    ArchiveGarbled,
    ArchiveRefused,
    ArchiveUnavailable,
    BadRequest,
    CbmirError,
    JobCancelled,
)
from cbmir.store import archives
from cbmir.store.session import Database

UNREACHED = (ArchiveUnavailable, ArchiveRefused, ArchiveGarbled, BadRequest)
"""With these nothing was learned of the archive: a `BadRequest` is of how it is described, such as a lost file."""


def note(database: Database, name: str, error: CbmirError, more: str = "") -> None:
    """Note what went wrong with the archive of this name, if there still is one.

    Args:
        database: the installation's.
        name: the archive's.
        error: what went wrong.
        more: a sentence beside its own.

    Raises:
        cbmir.errors.Unavailable: if the database cannot note it.
    """
    with database.write() as session:
        if row := archives.find(session, name):
            said, connected = f"{error.sentence} {more}".strip(), not isinstance(error, UNREACHED)
            archives.failed(session, row.id, error.code, said, connected=connected)


@contextmanager
def noting(database: Database, name: str) -> Iterator[None]:
    """Note what goes wrong in the block, but for somebody's wish to stop; it is raised all the same."""
    try:
        yield
    except JobCancelled:
        raise
    except CbmirError as error:
        note(database, name, error)
        raise
