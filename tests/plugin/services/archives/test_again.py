"""What was set aside, or converted of old, is read again from where its bytes are: an archive, or kept files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.archive.dimse.landing import Landing
from cbmir.progress import Silence
from cbmir.services.archives import registered
from cbmir.services.archives.backlog import TAKEN
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.received import record_received
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.convert import pipelines
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.again.quarantine import Retried, retry
from cbmir.services.ingestion.again.reconvert import Reconverted, reconvert
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store import ledger, quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Instance
from cbmir.types import ObjectState

Fetch = Callable[[Settings], Ingested]


@pytest.fixture
def connection(pacs: Any) -> Connection:
    return Connection(
        "pacs", ArchiveKind.ORTHANC, pacs.url, Credentials(username=pacs.username, password=pacs.password)
    )


@pytest.fixture
def fetch(archive: Followed, isolation: Isolation) -> Fetch:
    """Looks at the archive, and fetches what is pending under these settings."""

    def fetch(settings: Settings) -> Ingested:
        Follower(archive).look()
        return synchronise(replace(archive, settings=settings), Silence(), isolation)

    return fetch


def made_by(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Frame.pipeline)))


def test_an_object_that_was_set_aside_is_fetched_again_from_its_archive(
    database: Database, archive: Followed, pacs: Any, make_object: Any, fetch: Fetch
) -> None:
    pacs.send(make_object(0))
    strict = replace(archive.settings, max_pixels=10)
    assert fetch(strict) == Ingested(quarantined=1)
    for _ in range(2):
        assert retry(database, archive.settings, Silence()) == Retried(asked=1)
    with database.read() as session:
        assert quarantine.count(session) == 1  # until it is here
        assert ledger.counts(session, archive.id)[ObjectState.PENDING] == 1
    assert fetch(archive.settings) == Ingested(ingested=1)
    with database.read() as session:
        assert quarantine.count(session) == 0
        assert ledger.counts(session, archive.id)[ObjectState.HELD] == 1


def test_one_that_showed_nothing_is_fetched_again_and_one_that_the_rules_leave_out_is_not(
    database: Database, archive: Followed, pacs: Any, make_object: Any, fetch: Fetch
) -> None:
    pacs.send(make_object(0, Modality="OT", SOPClassUID="1.2.840.10008.5.1.4.1.1.7", PixelData=None))
    assert fetch(archive.settings) == Ingested(quarantined=1)
    assert retry(database, archive.settings, Silence(), code="no-pixels") == Retried(asked=1)
    assert fetch(archive.settings) == Ingested(quarantined=1)
    rules = replace(archive.connection, rules=replace(archive.connection.rules, modalities=("CT",)))
    pacs.send(make_object(1, Modality="MR"))
    Follower(replace(archive, connection=rules)).look()
    with database.write() as session:
        assert len(ledger.fetch_again(session, archive.id)) == 1


def test_what_the_archive_no_longer_has_is_gone(
    database: Database, archive: Followed, pacs: Any, make_object: Any, fetch: Fetch
) -> None:
    pacs.send(make_object(0))
    fetch(replace(archive.settings, max_pixels=10))
    registered.remove(database, archive.settings, "pacs", delete_images=False)
    said: dict[str, Any] = {}
    assert retry(database, archive.settings, Silence(), report=said.__setitem__) == Retried(gone=1)
    (error,) = said.values()
    assert "not followed any more" in error.reason
    with database.read() as session:
        assert quarantine.count(session) == 1


def test_pictures_of_an_earlier_conversion_are_made_again_from_the_archives_bytes(
    database: Database, archive: Followed, pacs: Any, make_object: Any, fetch: Fetch
) -> None:
    for seed in range(2):
        pacs.send(make_object(seed))
    fetch(archive.settings)
    fresh = replace(archive.settings, window="full")
    assert reconvert(database, fresh, Silence()) == Reconverted(asked=2)
    assert made_by(database) == {pipelines(archive.settings)["dicom-2d"]}
    assert fetch(fresh) == Ingested(ingested=2)
    assert made_by(database) == {pipelines(fresh)["dicom-2d"]}
    assert reconvert(database, fresh, Silence()) == Reconverted()


def test_a_received_object_that_is_kept_is_read_again_from_where_it_is_kept(
    database: Database, settings: Settings, make_object: Any, uid_of: Any, isolation: Isolation
) -> None:
    landing = Landing(settings.received)
    landing.keep()
    (settings.received / f"{uid_of(0)}.dcm").write_bytes(make_object(0))
    (settings.received / "1.2.3.dcm").write_bytes(b"no object")
    counts = record_received(database, settings, Silence(), isolation)
    assert counts == Ingested(ingested=1, quarantined=1)
    kept = landing.holder(uid_of(0))
    with database.read() as session:
        (instance,) = session.scalars(select(Instance))
        (aside,) = quarantine.listing(session)
    assert (instance.origin, aside.origin) == (str(kept), str(landing.holder("1.2.3")))
    assert not any((settings.received / TAKEN).iterdir())
    assert not settings.set_aside.exists()
    assert reconvert(database, replace(settings, window="full"), Silence()) == Reconverted(renewed=1)
    assert retry(database, settings, Silence()) == Retried(Ingested(quarantined=1))
