"""From a form or a request to a retrieval job."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from werkzeug.datastructures import FileStorage

from cbmir.errors import BadRequest, CbmirError
from cbmir.store import jobs
from cbmir.store.filters import Where
from cbmir.store.tables import Job, now
from cbmir.types import JobKind, JobState
from cbmir_web.actions import uploads
from cbmir_web.installation import Installation

PRIORS = 12
"""Images of the own patient's other studies that a page lists beside the hits."""

LATELY_SECONDS = 60.0
LOOKED_THROUGH = 100
"""Searches among which the same one is looked for."""

MOST_WAITING = 20
"""Searches that may wait before a mere visit starts no other."""


@dataclass(frozen=True)
class Ask:
    """What was asked: exactly one of a file, a SOP Instance UID (with a frame number) and a frame's id."""

    file: FileStorage | None = None
    sop_instance_uid: str | None = None
    frame_number: int | None = None
    frame_id: int | None = None
    k: int = 5
    where: list[str] = field(default_factory=list)
    encoder: str | None = None
    exclude_same_patient: bool = False
    priors: int = 0
    one_per: str | None = None

    def checked(self) -> Ask:
        """Itself.

        Raises:
            cbmir.errors.BadRequest: if it names no image, or more than one.
        """
        named = [self.file is not None, self.sop_instance_uid is not None, self.frame_id is not None]
        if sum(named) != 1:
            raise BadRequest(
                "Nothing to search for." if not any(named) else "More than one image to search for.",
                "Choose a file, or give a SOP Instance UID; over REST the id of a frame will do.",
            )
        return self


def enqueue(installation: Installation, ask: Ask) -> Job:
    """Keep the file, if it is one, and queue the search.

    Raises:
        cbmir.errors.BadRequest: if the question makes no sense.
        cbmir.errors.Unavailable: if the database or the disk does not take it; then nothing is kept.
    """
    where = Where.parse(ask.checked().where)
    upload = uploads.keep(installation.settings, [ask.file]) if ask.file else None
    try:
        return installation.enqueue(JobKind.RETRIEVE, _parameters(ask, where, upload))
    except CbmirError:
        if upload:
            uploads.discard(installation.settings, upload)
        raise


def asked_lately(here: Installation, ask: Ask) -> Job | None:
    """The search that asked the very same within the last minute, unless it failed; not for a file."""
    wanted, since = _parameters(ask, Where.parse(ask.where), None), now() - timedelta(seconds=LATELY_SECONDS)
    with here.database.read() as session:
        found = jobs.asked(session, JobKind.RETRIEVE, wanted, LOOKED_THROUGH)
    return found if found and found.created_at > since else None


def has_room(here: Installation) -> bool:
    """Whether few enough searches wait for one more to be started by a mere visit."""
    with here.database.read() as session:
        waiting = jobs.listing(session, state=JobState.QUEUED, kind=JobKind.RETRIEVE, limit=MOST_WAITING)
    return len(waiting) < MOST_WAITING


def _parameters(ask: Ask, where: Where, upload: uploads.Upload | None) -> dict[str, Any]:
    return {
        "upload": upload and {"folder": upload.folder, "stored": "0", "file_name": upload.names["0"]},
        "sop_instance_uid": ask.sop_instance_uid,
        "frame_number": ask.frame_number,
        "frame_id": ask.frame_id,
        "k": ask.k,
        "where": where.as_json(),
        "encoder": ask.encoder,
        "exclude_same_patient": ask.exclude_same_patient,
        "priors": ask.priors,
        "one_per": ask.one_per or None,
    }
