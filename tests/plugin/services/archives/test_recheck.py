"""Pixels that were replaced under their UID are found in the end where the archive tells nothing of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.progress import Silence
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.recheck import IDLE_SECONDS, recheck
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Ingested
from cbmir.store.session import Database
from cbmir.store.tables import ArchiveStudy, Frame, now

STUDIES = 3


@pytest.fixture
def connection(pacs: Any) -> Connection:
    way = Credentials(username=pacs.username, password=pacs.password)
    return Connection("pacs", ArchiveKind.DICOMWEB, f"{pacs.url}/dicom-web", way, recheck_days=30)


@pytest.fixture
def full(archive: Followed, pacs: Any, make_object: Any) -> Followed:
    """An archive of some studies of one object, all fetched; its follower may recheck at once."""
    for seed in range(STUDIES):
        pacs.send(make_object(seed, study=seed))
    assert look(archive).ingested == STUDIES
    return archive


def look(archive: Followed) -> Ingested:
    """Looks as a worker does that has followed it for a while, and fetches what is pending."""
    Follower(archive, recheck_at=float("-inf")).look()
    with Isolation(1) as isolation:
        return synchronise(archive, Silence(), isolation)


def fetched_before(database: Database, days: int) -> None:
    with database.write() as session:
        session.execute(update(ArchiveStudy).values(fetched_at=now() - timedelta(days=days)))


def pictures(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Frame.picture)))


def test_replaced_pixels_are_found_within_the_days(
    database: Database, full: Followed, pacs: Any, make_object: Any, uid_of: Any
) -> None:
    before = pictures(database)
    pacs.send(make_object(STUDIES, study=0, SOPInstanceUID=uid_of(0)))  # other pixels under a known UID
    assert look(full) == Ingested(), "no time has come"
    fetched_before(database, days=31)
    found = [look(full) for _ in range(STUDIES)]
    assert sum(found, Ingested()) == Ingested(ingested=1, duplicates=STUDIES - 1)
    assert all(each.files == 1 for each in found), "one study after the other"
    assert len(pictures(database) - before) == len(before - pictures(database)) == 1
    assert look(full) == Ingested(), "all were fetched"


def test_what_an_earlier_version_fetched_has_its_turn_and_all_are_spread_over_the_days(
    database: Database, full: Followed
) -> None:
    assert recheck(full) == IDLE_SECONDS
    with database.write() as session:
        session.execute(update(ArchiveStudy).values(fetched_at=None))
    assert recheck(full) == pytest.approx(30 * 86400 / STUDIES)
    assert recheck(full) == IDLE_SECONDS, "what is to be fetched goes first"


def test_the_first_time_too_no_study_waits_longer_than_the_days(database: Database, full: Followed) -> None:
    turn = 30 / STUDIES  # days: as many as spread them evenly
    fetched_before(database, days=int(turn) - 1)
    assert look(full) == Ingested(), "no time has come"
    fetched_before(database, days=int(turn) + 1)
    assert look(full) == Ingested(duplicates=1), "the first; the last has its turn after thirty days"


def test_who_did_not_ask_for_it_or_looks_once_fetches_nothing_again(database: Database, full: Followed) -> None:
    fetched_before(database, days=400)
    assert not Follower(full).look()
    never = replace(full, connection=replace(full.connection, recheck_days=0))
    assert not Follower(never, recheck_at=float("-inf")).look()
