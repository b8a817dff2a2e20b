"""The number of frames is told at once, and right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event, select

from cbmir.services.retrieval import counting
from cbmir.services.retrieval.counting import Counts
from cbmir.store.session import Database
from cbmir.store.tables import Frame

Stock = Callable[..., None]


def delete_one(database: Database) -> None:
    with database.write() as session:
        session.delete(session.scalars(select(Frame).limit(1)).one())


def test_new_frames_are_counted_without_counting_all(any_database: Database, stock: Stock) -> None:
    counts, asked = Counts(), []
    stock(any_database, patients=2)
    event.listen(any_database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def count(generation: int = 1) -> int:
        with any_database.read() as session:
            return counts.of(any_database, session, "encoder", generation)

    assert count() == 4
    stock(any_database, patients=5)
    asked.clear()
    assert count() == 10
    counting_all = [words for words in asked if "count(" in words and "WHERE" not in words]
    assert counting_all == []


def test_a_deletion_shows_with_the_next_generation_or_after_a_minute(
    any_database: Database, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Counts()
    stock(any_database, patients=3)

    def count(generation: int) -> int:
        with any_database.read() as session:
            return counts.of(any_database, session, "encoder", generation)

    assert count(1) == 6
    delete_one(any_database)
    assert count(2) == 5
    delete_one(any_database)
    later = counting.time.monotonic() + 2 * counting.COUNTED_AGAIN_SECONDS
    monkeypatch.setattr(counting.time, "monotonic", lambda: later)
    assert count(2) == 4
