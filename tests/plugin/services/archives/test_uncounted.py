"""An archive that does not say how many objects a study has, as many do over DIMSE (PS3.4 C.6.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cbmir.archive.base import Archive, RemoteStudy
from cbmir.progress import Silence
from cbmir.services.archives import sweep as sweeping
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sweep import sweep
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Ingested
from cbmir.store import archive_studies


@dataclass
class Uncounted:
    """An archive that passes everything on to another, without numbers of objects and signs of change."""

    archive: Archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)

    def studies(self, since: str = "", until: str = "") -> Iterator[RemoteStudy]:
        for each in self.archive.studies(since, until):
            yield replace(each, instances=None, stamp="")


@pytest.fixture
def uncounted(archive: Followed) -> Followed:
    return replace(archive, archive=Uncounted(archive.archive))


def fetched(followed: Followed) -> Ingested:
    with Isolation(1) as isolation:
        return synchronise(followed, Silence(), isolation)


def test_what_comes_and_goes_within_a_known_study_is_seen_by_the_next_sweep(
    uncounted: Followed, pacs: Any, make_object: Any
) -> None:
    first = pacs.send(make_object(0))
    assert sweep(uncounted).pending == 1
    assert fetched(uncounted).ingested == 1
    pacs.send(make_object(1))
    assert sweep(uncounted).pending == 1
    assert fetched(uncounted).ingested == 1
    pacs.delete(f"/instances/{first}")
    assert sweep(uncounted).deleted == 1


def test_a_large_archive_is_looked_into_in_turns(
    uncounted: Followed, pacs: Any, make_object: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        pacs.send(make_object(seed, study=seed))
    assert sweep(uncounted).compared == 5
    monkeypatch.setattr(sweeping, "UNCOUNTED", 2)
    for seed in range(5):
        pacs.send(make_object(10 + seed, study=seed))
    found = [sweep(uncounted).pending for _ in range(3)]
    assert found == [2, 2, 1]


def test_who_forgets_the_lists_looks_into_all_studies(archive: Followed, pacs: Any, make_object: Any) -> None:
    for seed in range(3):
        pacs.send(make_object(seed, study=seed))
    Follower(archive).look()
    assert sweep(archive).compared == 0
    with archive.database.write() as session:
        archive_studies.forget(session, archive.id)
    assert sweep(archive).compared == 3
