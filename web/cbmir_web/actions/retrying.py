"""From a choice of files in quarantine to the job that reads them again."""

from __future__ import annotations

from typing import Any

from cbmir.errors import BadRequest, NotFound
from cbmir.store import quarantine
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.installation import Installation


def enqueue(here: Installation, asked: dict[str, Any]) -> Job:
    """Queue the reading of some files, of those of one reason, or of all.

    Args:
        here: the installation.
        asked: exactly one of `ids`, `code` and `all`, as `RetrySchema` gives them.

    Raises:
        cbmir.errors.BadRequest: if none or more than one is asked for.
        cbmir.errors.NotFound: if nothing is in quarantine that matches.
        cbmir.errors.Unavailable: if the database does not take it.
    """
    ids, code = asked.get("ids") or None, asked.get("code")
    if sum((ids is not None, code is not None, asked["all"])) != 1:
        raise BadRequest("What to read again is not said.", "Give one of: ids, code, all.")
    with here.database.read() as session:
        if not quarantine.ids(session, code=code, among=ids):
            raise NotFound("Nothing in quarantine matches.", "It may have been read again already: see the list.")
    return here.enqueue(JobKind.INGEST, {"retry": {"ids": ids, "code": code}})
