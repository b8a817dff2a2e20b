"""Studies are fetched again over DIMSE, too: what was replaced under its UID is found, from two real archives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from cbmir.archive.connection import ArchiveKind, Connection, Retrieval
from cbmir.progress import Silence
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.archives.verify import verify
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Ingested
from cbmir.store.session import Database
from cbmir.store.tables import ArchiveStudy, Frame, Instance, now

STUDIES, OF_A_STUDY = 2, 3
ALL = STUDIES * OF_A_STUDY


@dataclass(frozen=True)
class Peer:
    """A real archive: how it is reached, and how objects come into it."""

    aet: str
    port: int
    send: Callable[[bytes], object]


@pytest.fixture(params=["dcmqrscp", "orthanc"])
def peer(request: pytest.FixtureRequest, move_port: int, tmp_path: Path) -> Peer:
    if request.param == "dcmqrscp":
        server, file = request.getfixturevalue("qrscp"), tmp_path / "sent.dcm"

        def send(data: bytes) -> None:
            file.write_bytes(data)
            server.send(file)

        return Peer("QRSCP", server.port, send)
    modality = {"AET": "CBMIR", "Host": "127.0.0.1", "Port": move_port, "AllowGet": True}
    start = request.getfixturevalue("start_orthanc")
    orthanc = start(DicomModalities={"cbmir": modality}, DicomAlwaysAllowFind=True, DicomAlwaysAllowGet=True)
    return Peer("ORTHANC", orthanc.dicom_port, orthanc.send)


@pytest.fixture(params=list(Retrieval))
def connection(request: pytest.FixtureRequest, peer: Peer, move_port: int) -> Connection:
    how: dict[str, Any] = {"retrieve": request.param, "move_port": move_port, "recheck_days": 30}
    return Connection("pacs", ArchiveKind.DIMSE, f"{peer.aet}@127.0.0.1:{peer.port}", **how)


def look(archive: Followed) -> Ingested:
    """Looks as a worker does that has followed it for a while, and fetches what is pending."""
    Follower(archive, recheck_at=float("-inf")).look()
    with Isolation(1) as isolation:
        return synchronise(archive, Silence(), isolation)


def pictures(database: Database) -> dict[str | None, str]:
    rows = select(Instance.sop_instance_uid, Frame.picture).join(Frame, Frame.instance_id == Instance.id)
    with database.read() as session:
        return dict(session.execute(rows).all())


def body_parts(database: Database) -> dict[str | None, str | None]:
    rows = select(Instance.sop_instance_uid, Instance.body_part)
    with database.read() as session:
        return dict(session.execute(rows).all())


def test_what_was_replaced_under_its_uid_is_found_within_the_days(
    database: Database, archive: Followed, peer: Peer, make_object: Any, uid_of: Any
) -> None:
    for seed in range(ALL):
        peer.send(make_object(seed, study=seed // OF_A_STUDY))
    assert look(archive).ingested == ALL
    before = pictures(database)

    peer.send(make_object(ALL, SOPInstanceUID=uid_of(0)))  # other pixels
    peer.send(make_object(1, BodyPartExamined="KNEE"))  # another header
    assert look(archive) == Ingested(), "no time has come"
    assert pictures(database) == before

    with database.write() as session:
        session.execute(update(ArchiveStudy).values(fetched_at=now() - timedelta(days=31)))
    found = [look(archive) for _ in range(STUDIES)]
    assert sum(found, Ingested()) == Ingested(ingested=2, duplicates=ALL - 2)
    assert [each.files for each in found] == [OF_A_STUDY] * STUDIES, "one study after the other"
    after = pictures(database)
    assert [uid for uid, picture in after.items() if picture != before[uid]] == [uid_of(0)]
    assert [uid for uid, part in body_parts(database).items() if part == "KNEE"] == [uid_of(1)]
    assert look(archive) == Ingested(), "all were fetched"
    verified = verify(archive, Silence())
    assert (verified.held, verified.differences) == (ALL, [])


def test_where_nothing_was_replaced_nothing_is_converted_again(
    database: Database, archive: Followed, peer: Peer, make_object: Any
) -> None:
    peer.send(make_object(0))
    assert look(archive).ingested == 1
    before = pictures(database)
    with database.write() as session:
        session.execute(update(ArchiveStudy).values(fetched_at=None))  # as after an update
    assert look(archive) == Ingested(duplicates=1)
    assert pictures(database) == before
