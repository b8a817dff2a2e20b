"""The queue of events: order, batches, and what becomes of events that cannot be kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_batches_are_bounded_and_in_order(part: Callable[[str], Any], tmp_path: Path) -> None:
    journal = part("journal").Journal(tmp_path / "queue.sqlite", 10_000)
    for number in range(1200):
        journal.note(f"{number}", deleted=False)
    journal.note("0", deleted=True)
    assert len(journal) == 1200
    seen, sizes = [], []
    while batch := journal.batch(500):
        seen += batch.stored + batch.deleted
        sizes.append(len(batch.stored) + len(batch.deleted))
        journal.forget(batch)
    assert sizes == [500, 500, 200]
    assert seen == [*map(str, range(1, 1200)), "0"]


def test_an_event_that_cannot_be_kept_becomes_a_sweep(part: Callable[[str], Any], tmp_path: Path) -> None:
    journal = part("journal").Journal(tmp_path / "queue.sqlite", 10)
    journal.forget(journal.batch(10))
    assert not journal.lossy
    other = sqlite3.connect(tmp_path / "queue.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        journal.note("an-id", deleted=False)
    other.close()
    assert journal.lossy
    assert journal.batch(10).losses == 1
    journal.note("an-id", deleted=False)
    before = journal.batch(10)
    journal.note("an-id", deleted=True)
    journal.forget(before)
    assert (journal.batch(10).stored, journal.batch(10).deleted, journal.lossy) == ([], ["an-id"], False)
