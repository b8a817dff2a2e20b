"""What may be asked of an archive that is followed: to be compared as a whole, left alone, followed again."""

from __future__ import annotations

from cbmir.store import archive_studies, archives, ledger
from cbmir.store.session import Database


def compare(database: Database, name: str, *, again: bool = False, accept_deletions: bool = False) -> None:
    """Have an archive compared as a whole by the next look at it; what could not be had is asked for now.

    Args:
        database: the installation's.
        name: the archive's.
        again: look into all studies, and fetch everything again, also what seems unchanged.
        accept_deletions: believe an archive that lists nothing any more.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
    """
    with database.write() as session:
        archive_id = archives.get(session, name).id
        if again:
            ledger.fetch_again(session, archive_id)
            archive_studies.forget(session, archive_id)
        allowed = {"allowed_deletions": ledger.alive(session, archive_id)} if accept_deletions else {}
        archives.change(session, archive_id, sweep_wanted=True, **allowed)
        ledger.ask_now(session, archive_id)


def pause(database: Database, name: str) -> None:
    """Leave an archive alone until it is resumed; the workers see it within a second.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
    """
    with database.write() as session:
        archives.change(session, archives.get(session, name).id, paused=True)


def resume(database: Database, name: str) -> None:
    """Follow an archive again, which is compared as a whole first.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
    """
    with database.write() as session:
        archives.change(session, archives.get(session, name).id, paused=False, sweep_wanted=True)
