"""Jobs of role `archive` take turns: who waits is let in, and what was begun is brought to its end first."""

from __future__ import annotations

import pytest

from cbmir.errors import JobCancelled
from cbmir.progress import Silence
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.types import JobKind
from cbmir_workers import giving_way


def test_a_turn_ends_when_others_wait_and_at_once_when_it_has_taken_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = giving_way.taking_turns(database, Silence())
    monkeypatch.setattr(giving_way, "TURN_SECONDS", 0.0)
    turn.update(1, 6)
    turn.end()
    assert not turn.is_over(), "nobody waits"

    with database.write() as session:
        jobs.create(session, JobKind.SYNC, {"received": True})
    turn.update(2, 6)
    assert turn.is_over()
    with pytest.raises(JobCancelled, match="Other work goes first"):
        turn.end()
    with pytest.raises(JobCancelled, match="Other work goes first"):
        turn.update(3, 6)


def test_within_its_time_a_turn_is_not_over(database: Database) -> None:
    turn = giving_way.taking_turns(database, Silence())
    with database.write() as session:
        jobs.create(session, JobKind.SYNC, {"received": True})
    turn.update(1, 6)
    turn.end()
    assert not turn.is_over()
