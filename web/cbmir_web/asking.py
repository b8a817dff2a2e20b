"""From a form or a request to a retrieval job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import FileStorage

from cbmir.errors import BadRequest, CbmirError
from cbmir.store.filters import Where
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web import uploads
from cbmir_web.installation import Installation


PRIORS = 12
"""Images of the own patient's other studies that a page lists beside the hits."""


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

    def checked(self) -> Ask:
        """Itself.

        Raises:
            cbmir.errors.BadRequest: if it names no image, or more than one.
        """
        named = [self.file is not None, self.sop_instance_uid is not None, self.frame_id is not None]
        if sum(named) != 1:
            raise BadRequest(
                "Nothing to search for." if not any(named) else "More than one image to search for.",
                "Give one of: a file, a SOP Instance UID, the id of a frame.",
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
    }
