"""An archive by DIMSE that counts nothing and logs nothing: pynetdicom's qrscp, by C-FIND, C-GET and C-MOVE."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from cbmir.archive.connection import ArchiveKind, Connection, Retrieval
from cbmir.archive.dimse.archive import DimseArchive
from cbmir.progress import Silence
from cbmir.services.archives.check import test as checked
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.verify import verify
from cbmir.store.session import Database
from cbmir.store.tables import Instance

CONFIGURATION = """
[DEFAULT]
ae_title: QRSCP
port: {port}
bind_address: 127.0.0.1
max_pdu: 0
acse_timeout: 60
dimse_timeout: 60
network_timeout: 60
instance_location: {folder}/instances
database_location: {folder}/instances.sqlite
log_identifier: False

[CBMIR]
address: 127.0.0.1
port: {move_port}
"""
SECONDS = 30.0


@dataclass(frozen=True)
class Qrscp:
    """pynetdicom's archive, running; it has no way to delete a study but in its own database and folder."""

    folder: Path
    port: int
    move_port: int

    def connection(self, retrieve: Retrieval) -> Connection:
        how: dict[str, Any] = {"retrieve": retrieve, "move_port": self.move_port, "timeout_seconds": 60.0}
        return Connection("pacs", ArchiveKind.DIMSE, f"QRSCP@127.0.0.1:{self.port}", **how)

    def send(self, *objects: bytes) -> None:
        files = [self.folder / f"{number}.dcm" for number in range(len(objects))]
        for file, data in zip(files, objects, strict=True):
            file.write_bytes(data)
        archive = DimseArchive(self.connection(Retrieval.GET))
        archive.store(files)
        archive.close()

    def delete_study(self, study_instance_uid: str) -> None:
        with closing(sqlite3.connect(self.folder / "instances.sqlite", timeout=SECONDS)) as database, database:
            mine = "FROM instance WHERE study_instance_uid = ?"
            for (file,) in database.execute(f"SELECT filename {mine}", [study_instance_uid]).fetchall():
                Path(file).unlink()
            assert database.execute(f"DELETE {mine}", [study_instance_uid]).rowcount > 0


@pytest.fixture
def qrscp(tmp_path: Path) -> Iterator[Qrscp]:
    folder = tmp_path / "qrscp"
    folder.mkdir()
    with socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind(("127.0.0.1", 0))
        server = Qrscp(folder, one.getsockname()[1], two.getsockname()[1])
    file = folder / "qrscp.ini"
    file.write_text(CONFIGURATION.format(folder=folder, port=server.port, move_port=server.move_port))
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "--quiet", "-c", str(file)]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + SECONDS
        while _is_closed(server.port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "qrscp does not start"
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()


def _is_closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(params=list(Retrieval))
def connection(request: pytest.FixtureRequest, qrscp: Qrscp) -> Connection:
    return qrscp.connection(request.param)


def stored(database: Database) -> set[str | None]:
    with database.read() as session:
        return set(session.scalars(select(Instance.sop_instance_uid)))


def test_it_is_followed_studies_that_come_and_go_too(
    database: Database, archive: Followed, qrscp: Qrscp, make_object: Any, uid_of: Any, follow: Callable[[], Any]
) -> None:
    qrscp.send(*(make_object(seed, patient=seed // 2) for seed in range(4)))
    assert follow().ingested == 4
    assert stored(database) == {uid_of(seed) for seed in range(4)}

    qrscp.send(make_object(4, patient=1), make_object(5, patient=7))  # one in a study that is known, and a study
    assert follow().ingested == 2
    assert stored(database) == {uid_of(seed) for seed in range(6)}

    qrscp.delete_study(pydicom.dcmread(qrscp.folder / "1.dcm").StudyInstanceUID)
    follow()
    assert stored(database) == {uid_of(seed) for seed in range(5)}
    verified = verify(archive, Silence())
    assert (verified.listed, verified.held, verified.by_uid_alone, verified.differences) == (5, 5, 5, [])


def test_its_test_says_that_it_counts_nothing(qrscp: Qrscp, make_object: Any) -> None:
    qrscp.send(make_object(0))
    checks = {each.what: each for each in checked(qrscp.connection(Retrieval.MOVE))}
    assert [each for each in checks.values() if not each.fine] == []
    assert checks["counts"].said.startswith("It does not say how many objects a study has")
