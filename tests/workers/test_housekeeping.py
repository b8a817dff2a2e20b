"""Once a day goes what killed processes left, and what was deleted and still lies in an index."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from cbmir.errors import DatabaseUnavailable
from cbmir.services.reporting.originals import passing_folder
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir_workers import housekeeping
from cbmir_workers.housekeeping import LEFT_SECONDS, discard_left, housekeeper, keep_house


def leave(settings: Settings) -> list[Path]:
    """What processes that were killed in the middle of their work leave."""
    folders = [settings.spool / "fetched-a1b2", settings.data / "reporting-a1b2"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "1.2.3.dcm").write_bytes(b"DOE^JANE")
    drafts = [folder / ".a1b2.draft" for folder in (settings.set_aside, settings.indexes, settings.weights)]
    for draft in drafts:
        draft.parent.mkdir()
        draft.write_bytes(b"DOE^JANE")
    return [*folders, *drafts]


def test_what_killed_processes_left_goes_after_a_day(settings: Settings, database: Database) -> None:
    left = leave(settings)
    keep = settings.set_aside / ("0" * 64)
    keep.write_bytes(b"set aside")
    assert discard_left(settings) == 0
    for path in (*left, keep):
        os.utime(path, (time.time() - 2 * LEFT_SECONDS,) * 2)
    with passing_folder(settings) as living:
        keep_house(database, settings)
        assert living.is_dir()
    assert [path for path in left if path.exists()] == []
    assert keep.exists()


def test_the_thread_survives_a_bad_day_and_ends_when_told(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None]
) -> None:
    days: list[str] = []

    def keep(_database: Database, _settings: Settings) -> None:
        days.append("")
        raise DatabaseUnavailable("The database does not answer.") if len(days) == 1 else OSError("no disk")

    monkeypatch.setattr(housekeeping, "keep_house", keep)
    monkeypatch.setattr(housekeeping, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.01)
    stop = Event()
    keeping = housekeeper(database, settings, stop)
    keeping.start()
    wait_for(lambda: len(days) > 2, seconds=10)
    stop.set()
    keeping.join()
