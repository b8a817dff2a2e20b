"""Studies of which the archive's number of objects tells nothing: one UID of two patients, a list that was late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import generate_uid

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.progress import Silence
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.verify import verify
from cbmir.store import ledger
from cbmir.store.session import Database


@pytest.fixture
def connection(pacs: Any) -> Connection:
    return Connection(
        "pacs", ArchiveKind.ORTHANC, pacs.url, Credentials(username=pacs.username, password=pacs.password)
    )


@pytest.mark.parametrize("going", [0, 1])
def test_what_goes_with_another_patients_study_of_the_same_uid_is_seen(
    going: int, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    study = generate_uid()
    for patient in (1, 2):
        of_one_uid = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study[:60]}.{patient}"}
        pacs.send(make_object(patient, patient=patient, **of_one_uid))
    for _ in range(3):
        follow()
    pacs.delete(f"/studies/{pacs.get('/studies')[going]}")
    follow()
    found = verify(archive, Silence())
    assert (found.listed, found.differences) == (1, [])


def test_the_study_of_an_object_that_cannot_be_had_is_looked_into(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Any
) -> None:
    pacs.send(make_object(0))
    for _ in range(2):
        follow()
    (study,) = archive.archive.studies()
    (held,) = archive.archive.instances(study.study_instance_uid)
    late = replace(held, sop_instance_uid=uid_of(1), remote_id="1-" * 4 + "1")
    with database.write() as session:
        ledger.take_in(session, archive.id, [late], archive.keeps)  # of a list from before it was deleted
    for _ in range(2):
        follow()
    assert verify(archive, Silence()).differences == []
