"""Who must let others go first fetches no more; what is fetched by then is recorded, and not fetched twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cbmir.archive.base import Archive, Fetched
from cbmir.progress import Silence
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.received import record_received
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion import run
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.types import RemoteInstance

OBJECTS = 30


@pytest.fixture(autouse=True)
def few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "AT_ONCE", 2)


@dataclass
class Noting:
    """An archive that passes everything on to another, and notes what it brings."""

    archive: Archive
    brought: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        for each in self.archive.fetch(instances, folder):
            self.brought.append(each.instance.sop_instance_uid)
            yield each


class Counting(Isolation):
    """Counts what is converted."""

    converted = 0

    def run(self, name: str, size: int, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.converted += 1
        return super().run(name, size, work, *args, **kwargs)


@dataclass
class FirstOne:
    """Progress of a job that has had enough with the first object."""

    done: int = 0

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        self.done = done

    def is_done(self) -> bool:
        return self.done > 0


def test_what_an_archive_has_brought_is_recorded(archive: Followed, pacs: Any, make_object: Any) -> None:
    for seed in range(OBJECTS):
        pacs.send(make_object(seed, study=seed // 10))
    Follower(archive).look()
    noting, first = Noting(archive.archive), FirstOne()
    with Counting(1) as isolation:
        some = synchronise(replace(archive, archive=noting), first, isolation, enough=first.is_done)
        assert 0 < some.ingested == len(noting.brought) == isolation.converted < OBJECTS
        rest = synchronise(replace(archive, archive=noting), Silence(), isolation)
    assert some + rest == Ingested(ingested=OBJECTS)
    assert len(noting.brought) == len(set(noting.brought)) == isolation.converted == OBJECTS
    assert synchronise(archive, Silence(), isolation, enough=lambda: True) == Ingested()


def test_what_was_received_and_begun_is_recorded(
    database: Database, settings: Settings, make_object: Any, uid_of: Any
) -> None:
    settings.received.mkdir(parents=True)
    for seed in range(OBJECTS):
        (settings.received / f"{uid_of(seed)}.dcm").write_bytes(make_object(seed))
    first = FirstOne()
    with Counting(1) as isolation:
        some = record_received(database, settings, first, isolation, enough=first.is_done)
        assert 0 < some.ingested == isolation.converted < OBJECTS
        assert len(list(settings.received.rglob("*.dcm"))) == OBJECTS - some.ingested
        rest = record_received(database, settings, Silence(), isolation)
    assert some + rest == Ingested(ingested=OBJECTS)
    assert isolation.converted == OBJECTS
