"""From uploaded files to an ingestion job."""

from __future__ import annotations

from flask import request

from cbmir.errors import CbmirError
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.actions import uploads
from cbmir_web.installation import Installation


def enqueue(here: Installation) -> Job:
    """Keep the request's files and queue their ingestion.

    Raises:
        cbmir.errors.BadRequest: if there is no file.
        cbmir.errors.Unavailable: if the database or the disk does not take them; then nothing is kept.
    """
    upload = uploads.keep(here.settings, [file for _, file in request.files.items(multi=True)])
    try:
        return here.enqueue(JobKind.INGEST, {"upload": upload.folder, "files": upload.names})
    except CbmirError:
        uploads.discard(here.settings, upload)
        raise
