"""What is broken in ../shared/dicom, and what is no image: all of it is accounted for after one ingest."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from cbmir.progress import Silence
from cbmir.services.conversion.convert import convert
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store import quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Instance, Quarantined

pytestmark = pytest.mark.shared

CODES = {"no-pixels": 32, "broken-file": 26, "not-a-picture": 3, "undecodable": 3, "implausible-size": 2}
"""How many files are refused for what; `test_corpus.py` holds which."""


def kept(database: Database) -> tuple[dict[str, Instance], dict[str, Quarantined]]:
    """What was ingested and what was set aside, by where it came from."""
    with database.read() as session:
        instances = {row.origin: row for row in session.scalars(select(Instance))}
        return instances, {row.origin: row for row in quarantine.after(session, 0)}


def test_each_file_is_ingested_known_or_in_quarantine_with_reason_and_remedy(
    database: Database, settings: Settings, shared: Path
) -> None:
    folders = [shared / "dicom" / each for each in ("broken", "nonimage")]
    files = {str(each) for folder in folders for each in folder.rglob("*") if each.is_file()}
    counts = ingest(database, settings, folders, None, Silence())
    ingested, refused = kept(database)
    assert ingested.keys() | refused.keys() <= files
    assert not ingested.keys() & refused.keys()
    known = files - ingested.keys() - refused.keys()
    assert counts == Ingested(len(ingested), len(known), len(refused), 0)
    assert_are_copies(known, ingested)
    assert Counter(row.code for row in refused.values()) == CODES
    for origin, row in refused.items():
        assert row.sha256 == sha256(Path(origin).read_bytes()).hexdigest()
        assert Path(origin).name in row.reason
        assert len(row.reason.split()) >= 3
        assert row.remedy.endswith(".")


def assert_are_copies(known: set[str], ingested: dict[str, Instance]) -> None:
    """Each of these shows what one that was ingested shows, under the same SOP Instance UID."""
    by_uid = {row.sop_instance_uid: origin for origin, row in ingested.items() if row.sop_instance_uid}
    for origin in known:
        one = convert(Path(origin).read_bytes(), origin, Settings(), "")
        other = convert(Path(by_uid[one.header.sop_instance_uid]).read_bytes(), origin, Settings(), "")
        assert [each.pixels.tobytes() for each in one.pictures] == [
            each.pixels.tobytes() for each in other.pictures
        ]


def test_a_second_ingest_refuses_the_same_once_more_and_keeps_each_once(
    database: Database, settings: Settings, shared: Path
) -> None:
    folder = [shared / "dicom" / "broken" / "made"]
    first = ingest(database, settings, folder, None, Silence())
    refused = {origin: (row.code, row.reason) for origin, row in kept(database)[1].items()}
    again = ingest(database, settings, folder, None, Silence())
    with database.read() as session:
        assert quarantine.count(session) == first.quarantined == again.quarantined == len(refused)
    assert {origin: (row.code, row.reason) for origin, row in kept(database)[1].items()} == refused
