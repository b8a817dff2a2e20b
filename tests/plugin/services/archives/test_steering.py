"""What an administrator asks of an archive that is followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cbmir.errors import NotFound
from cbmir.services.archives import steering
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sweep import sweep
from cbmir.store import archive_studies, archives, ledger
from cbmir.store.session import Database
from cbmir.store.tables import Archive


@pytest.fixture
def row(database: Database) -> Callable[[], Archive]:
    def read() -> Archive:
        with database.read() as session:
            return archives.get(session, "pacs")

    return read


def test_a_comparison_is_wanted_and_what_could_not_be_had_is_asked_for_now(
    database: Database, archive: Followed, pacs: Any, make_object: Any, row: Callable[[], Archive]
) -> None:
    pacs.send(make_object(0))
    sweep(archive)
    with database.write() as session:
        (pending,) = ledger.pending(session, archive.id, 1)
        ledger.put_off(session, pending.id, code="not-found", message="It is away.")
    assert not row().sweep_wanted
    steering.compare(database, "pacs")
    assert (row().sweep_wanted, row().allowed_deletions) == (True, 0)
    with database.read() as session:
        assert ledger.is_due(session, archive.id)
        assert len(archive_studies.known(session, archive.id)) == 1


def test_again_fetches_everything_and_looks_into_all_studies(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    for seed in range(3):
        pacs.send(make_object(seed, study=seed))
    follow()
    assert sweep(archive).compared == 0
    steering.compare(database, "pacs", again=True)
    assert sweep(archive).compared == 3
    assert follow().duplicates == 3


def test_deletions_are_accepted_as_far_as_objects_are_known_now(
    database: Database, archive: Followed, pacs: Any, make_object: Any, row: Callable[[], Archive]
) -> None:
    for seed in range(3):
        pacs.send(make_object(seed))
    sweep(archive)
    steering.compare(database, "pacs", accept_deletions=True)
    assert row().allowed_deletions == 3


@pytest.mark.usefixtures("archive")
def test_an_archive_is_left_alone_and_followed_again(database: Database, row: Callable[[], Archive]) -> None:
    steering.pause(database, "pacs")
    assert row().paused
    with database.write() as session:
        archives.change(session, row().id, sweep_wanted=False)
    steering.resume(database, "pacs")
    assert (row().paused, row().sweep_wanted) == (False, True)


@pytest.mark.parametrize("ask", [steering.compare, steering.pause, steering.resume])
def test_an_archive_that_is_not_there(database: Database, ask: Callable[[Database, str], None]) -> None:
    with pytest.raises(NotFound, match="no archive nowhere"):
        ask(database, "nowhere")
