"""Pieces of what is pending follow each other without a pause, and none of them is counted twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from cbmir.archive.base import Archive, Fetched
from cbmir.progress import Silence
from cbmir.services.archives import sync
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed
from cbmir.services.conversion.isolation import Isolation
from cbmir.types import RemoteInstance

LONGEST_SECONDS = 60.0


@dataclass
class Noting:
    """An archive that passes everything on to another, and notes what is asked for together."""

    archive: Archive
    pieces: list[list[str]] = field(default_factory=list)
    second: Event = field(default_factory=Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        self.pieces.append([each.sop_instance_uid for each in instances])
        if len(self.pieces) == 2:
            self.second.set()
        yield from self.archive.fetch(instances, folder)


class Patient(Isolation):
    """Converts nothing before the second piece is asked for."""

    def __init__(self, second: Event) -> None:
        super().__init__(1)
        self._second = second

    def run(self, name: str, size: int, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        assert self._second.wait(LONGEST_SECONDS), "the second piece waits for the first one"
        return super().run(name, size, work, *args, **kwargs)


@dataclass
class Told:
    """Progress as it was told."""

    updates: list[tuple[int, int]] = field(default_factory=list)

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        self.updates.append((done, total))


@pytest.fixture
def full(archive: Followed, pacs: Any, make_object: Any, monkeypatch: pytest.MonkeyPatch) -> Followed:
    """An archive of seven studies of an object each, of which two are asked for together."""
    monkeypatch.setattr(sync, "AT_ONCE", 2)
    for seed in range(7):
        pacs.send(make_object(seed, study=seed))
    Follower(archive).look()
    return archive


def test_the_next_piece_is_fetched_while_the_last_one_is_converted(full: Followed) -> None:
    noting = Noting(full.archive)
    with Patient(noting.second) as isolation:
        synced = sync.synchronise(replace(full, archive=noting), Silence(), isolation)
    assert synced.ingested == 7
    assert [len(piece) for piece in noting.pieces] == [2, 2, 2, 1]
    assert len({uid for piece in noting.pieces for uid in piece}) == 7


def test_progress_goes_from_none_to_all_of_them(full: Followed) -> None:
    told = Told()
    with Isolation(1) as isolation:
        sync.synchronise(full, told, isolation)
    assert told.updates[0] == (0, 7)
    assert [done for done, _ in told.updates] == sorted(done for done, _ in told.updates)
    assert {total for _, total in told.updates} == {7}
    assert told.updates[-1] == (7, 7)
