"""Files handed in over the web: read by plain names only, deleted after their job, and never kept for ever."""

from __future__ import annotations

import os
import time

import pytest

from cbmir.errors import NotFound
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.types import JobKind
from cbmir_workers import uploads


def keep(settings: Settings, name: str, age_days: float = 0) -> None:
    folder = settings.uploads / name
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"picture")
    moment = time.time() - age_days * 24 * 3600
    os.utime(folder, (moment, moment))


def test_what_is_kept_is_read_and_discarded(settings: Settings) -> None:
    keep(settings, "1f")
    assert uploads.read(settings, "1f", "0") == b"picture"
    uploads.discard(settings, "1f")
    uploads.discard(settings, "1f")
    with pytest.raises(NotFound):
        uploads.read(settings, "1f", "0")


@pytest.mark.parametrize("name", ["../secrets", "", ".", "..", "/etc", "a/b", "a\0b"])
def test_no_name_leads_outside(settings: Settings, name: str) -> None:
    keep(settings, "1f")
    (settings.data / "secrets").mkdir()
    with pytest.raises(NotFound):
        uploads.folder(settings, name)
    with pytest.raises(NotFound):
        uploads.read(settings, "1f", name)
    uploads.discard(settings, name)
    assert (settings.data / "secrets").is_dir()
    assert (settings.uploads / "1f" / "0").is_file()


def test_old_ones_are_forgotten(settings: Settings, database: Database) -> None:
    assert uploads.forget_old(settings, database) == 0
    keep(settings, "young", uploads.KEPT_DAYS - 1)
    keep(settings, "old", uploads.KEPT_DAYS + 1)
    assert uploads.forget_old(settings, database) == 1
    assert [each.name for each in settings.uploads.iterdir()] == ["young"]


@pytest.mark.parametrize("claimed", [False, True])
def test_what_an_unfinished_job_needs_is_kept_however_old(
    settings: Settings, database: Database, claimed: bool
) -> None:
    for name in ("ingest", "query", "ended"):
        keep(settings, name, 100 * uploads.KEPT_DAYS)
    query = {"folder": "query", "stored": "0", "file_name": "a.dcm"}
    with database.write() as session:
        needing = [jobs.create(session, JobKind.INGEST, {"upload": "ingest", "files": {}})]
        needing.append(jobs.create(session, JobKind.RETRIEVE, {"upload": query}))
        jobs.create(session, JobKind.RETRIEVE, {"upload": None})
        jobs.create(session, JobKind.EXTRACT, {"encoder": "x"})
        jobs.request_cancel(session, jobs.create(session, JobKind.INGEST, {"upload": "ended"}).id)
        for job in needing if claimed else ():
            jobs.claim(session, job.id)
    assert uploads.forget_old(settings, database) == 1
    assert {each.name for each in settings.uploads.iterdir()} == {"ingest", "query"}
