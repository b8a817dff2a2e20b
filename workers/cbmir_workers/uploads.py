"""The files that somebody handed in over the web, from the request until their job is done."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cbmir.errors import NotFound
from cbmir.services.retrieval.forgetting import UNANSWERED_KEPT_DAYS
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.types import JobKind

KEPT_DAYS = UNANSWERED_KEPT_DAYS
"""How long the files of a failed or cancelled job are kept for a retry."""

REMEDY = "Upload again. If that does not help, hosts of this installation do not share their folder `uploads`."


def folder(settings: Settings, name: str) -> Path:
    """The folder of one upload.

    Raises:
        cbmir.errors.NotFound: if it is gone, or `name` is not a plain name.
    """
    found = settings.uploads / name
    if not _is_plain(name) or not found.is_dir():
        raise NotFound("The uploaded files are no longer there.", REMEDY)
    return found


def read(settings: Settings, name: str, stored: str) -> bytes:
    """The bytes of one uploaded file.

    Raises:
        cbmir.errors.NotFound: if it is gone, or a name is not a plain one.
    """
    path = folder(settings, name) / stored
    if not _is_plain(stored) or not path.is_file():
        raise NotFound("The uploaded file is no longer there.", REMEDY)
    return path.read_bytes()


def discard(settings: Settings, name: str) -> None:
    """Delete one upload, if it is still there."""
    if _is_plain(name):
        shutil.rmtree(settings.uploads / name, ignore_errors=True)


def of_job(kind: JobKind, parameters: Mapping[str, Any]) -> str | None:
    """The name of the upload folder that a job of this kind uses up, if it has one."""
    upload = parameters.get("upload")
    if kind is JobKind.RETRIEVE and upload:
        return str(upload["folder"])
    return str(upload) if kind is JobKind.INGEST and upload else None


def forget_old(settings: Settings, database: Database) -> int:
    """Delete uploads that wait for a retry longer than `KEPT_DAYS`: they may show patients.

    What a queued or running job names stays, however old.

    Returns:
        How many.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer; then nothing is deleted.
    """
    if not settings.uploads.is_dir():
        return 0
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    old = [each for each in settings.uploads.iterdir() if each.is_dir() and each.stat().st_mtime < oldest]
    needed = _needed(database) if old else set()
    forgotten = [each for each in old if each.name not in needed]
    for each in forgotten:
        shutil.rmtree(each, ignore_errors=True)
    return len(forgotten)


def _needed(database: Database) -> set[str | None]:
    with database.read() as session:
        return {of_job(JobKind(job.kind), job.parameters) for job in jobs.unfinished(session)}


def _is_plain(name: str) -> bool:
    """Whether it is a name that the web gives: of letters and digits, so that it leads nowhere else."""
    return name.isascii() and name.isalnum()
