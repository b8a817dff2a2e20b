"""What is not wanted, or shows nothing, is not fetched; what an archive's script tells is taken in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import BasicTextSRStorage, CTImageStorage
from sqlalchemy import select

from cbmir.archive.connection import ArchiveKind, Connection, Rules
from cbmir.errors import BadRequest
from cbmir.progress import Silence
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed, add, followed
from cbmir.services.archives.sweep import sweep
from cbmir.services.archives.verify import verify
from cbmir.settings import Settings
from cbmir.store import archives, ledger
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.types import ObjectState


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (Rules(modalities=("CT",)), {"CT"}),
        (Rules(without_modalities=("CT",)), {"MR"}),
        (Rules(body_parts=("CHEST",)), {"CT"}),
        (Rules(since="20250101"), {"CT"}),
        (Rules(until="20241231"), {"MR"}),
        (Rules(), {"CT", "MR"}),
    ],
)
def test_rules_say_what_is_fetched(
    database: Database, archive: Followed, pacs: Any, make_object: Any, rules: Rules, wanted: set[str]
) -> None:
    pacs.send(make_object(0))
    pacs.send(
        make_object(
            1, study=1, SOPClassUID=CTImageStorage, Modality="CT", BodyPartExamined="CHEST", StudyDate="20250203"
        )
    )
    add(database, archive.settings, replace(archive.connection, name="ruled", rules=rules))
    with followed(database, archive.settings, "ruled") as ruled:
        sweep(ruled)
        with database.read() as session:
            assert {each.modality for each in ledger.pending(session, ruled.id, 9)} == wanted


def test_a_report_is_neither_fetched_nor_a_difference(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    pacs.send(
        make_object(0, SOPClassUID=BasicTextSRStorage, Modality="SR", PixelData=None, Rows=None, Columns=None)
    )
    assert follow().files == 0
    with database.read() as session:
        assert ledger.counts(session, archive.id)[ObjectState.SKIPPED] == 1
    assert verify(archive, Silence()).differences == []


@pytest.mark.parametrize("connection", [ArchiveKind.ORTHANC], indirect=True)
def test_notices_are_taken_in_before_the_log_and_the_count_say_anything(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any, uid_of: Any
) -> None:
    gone, kept = pacs.send(make_object(0)), pacs.send(make_object(1))
    follow()
    follower = Follower(archive, count_at=float("inf"), sweep_at=float("inf"))
    pacs.delete(f"/instances/{gone}")
    follower.look()
    with database.write() as session:
        assert len(session.scalars(select(Instance)).all()) == 2  # nobody has told yet
        archives.notify(session, archive.id, [(kept, False), (gone, True), ("unknown", True)])
    follower.look()
    with database.read() as session:
        assert session.scalars(select(Instance.sop_instance_uid)).all() == [uid_of(1)]
        assert archives.notices(session, archive.id, 9) == []


def test_days_that_end_before_they_begin_are_refused(database: Database, settings: Settings) -> None:
    backwards = Connection(
        "pacs", ArchiveKind.DIMSE, "PACS@127.0.0.1:104", rules=Rules((), (), (), "20250101", "20200101")
    )
    with pytest.raises(BadRequest, match="20250101"):
        add(database, settings, backwards)
    with database.read() as session:
        assert archives.listing(session) == []
