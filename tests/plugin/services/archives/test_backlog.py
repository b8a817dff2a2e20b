"""What was received and waits for a worker is counted, and is told of as wrong once nobody works on it."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cbmir.services.archives.backlog import JOB, TAKEN, Backlog, any_waiting, backlog
from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import now
from cbmir.types import JobKind

MINUTE = 60.0


def receive(folder: Path, name: str, ago: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"an object")
    os.utime(folder / name, (time.time() - ago,) * 2)


def look(database: Database, settings: Settings) -> Backlog:
    with database.read() as session:
        return backlog(session, settings)


def test_where_nothing_was_received_nothing_is_wrong(database: Database, settings: Settings) -> None:
    found = look(database, settings)
    assert found == Backlog(0, None, at_work=False)
    assert (found.reason, found.remedy, found.waited) == ("", "", timedelta())
    assert not any_waiting(settings)


def test_whole_objects_are_counted_wherever_they_wait(database: Database, settings: Settings) -> None:
    receive(settings.received, "1.2.1.dcm", 5 * MINUTE)
    receive(settings.received / TAKEN, "1.2.2.dcm", 90 * MINUTE)
    receive(settings.received / "kept", "1.2.3.dcm", 500 * MINUTE)
    receive(settings.received, ".4f1c.draft", 500 * MINUTE)
    found = look(database, settings)
    assert found.objects == 2
    assert timedelta(minutes=90) <= found.waited < timedelta(minutes=91)
    assert "2 received objects wait to be recorded, the first since " in found.reason
    assert "cbmir worker --role archive" in found.remedy
    assert any_waiting(settings)


def test_what_has_just_come_is_nothing_to_complain_of(database: Database, settings: Settings) -> None:
    receive(settings.received, "1.2.1.dcm", 1)
    assert look(database, settings).objects == 1
    assert look(database, settings).reason == ""


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("parameters", [JOB, {"archive": "pacs"}])
def test_a_worker_that_lives_has_time(
    database: Database, settings: Settings, parameters: dict[str, Any], silent: bool
) -> None:
    receive(settings.received, "1.2.1.dcm", 5 * MINUTE)
    with database.write() as session:
        job = jobs.create(session, JobKind.SYNC, parameters)
        jobs.claim(session, job.id)
        if silent:
            job.heartbeat_at = now() - timedelta(seconds=2 * settings.heartbeat_timeout_seconds)
    found = look(database, settings)
    assert (found.at_work, bool(found.reason)) == (not silent, silent)
