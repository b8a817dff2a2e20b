"""A library of objects that a real Orthanc holds, and answers kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from pydicom import Dataset, dcmread

import cbmir_migrations
from cbmir.archive.base import Archive
from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.errors import CbmirError
from cbmir.progress import Silence
from cbmir.services.archives.registered import add, opened
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import jobs, queries
from cbmir.store.session import Database
from cbmir.types import JobKind

Make = Callable[..., bytes]

VOLUME_FRAMES = 5


@dataclass(frozen=True)
class Hospital:
    """An installation and its archive: what was ingested, by file name."""

    database: Database
    settings: Settings
    server: Any
    archive: Archive
    objects: dict[str, Dataset]

    def ask(self, subject: str, **how: Any) -> str:
        """Ask about an object of the library, or a file, as a job does; the query's id."""
        chosen = how or {"sop_instance_uid": self.objects[subject].SOPInstanceUID}
        answer = retrieve(self.database, self.settings, Question(k=10, **chosen))
        with self.database.write() as session:
            job = jobs.create(session, JobKind.RETRIEVE, {})
            jobs.claim(session, job.id)
            jobs.succeed(session, job.id, answer.as_json())
            queries.save(
                session,
                job_id=job.id,
                encoder_id=answer.encoder,
                picture=answer.picture,
                frame_id=answer.frame_id,
                k=10,
                where={},
                hits=[hit.as_json() for hit in answer.hits],
            )
            return job.id

    def stored(self, modality: str) -> list[Dataset]:
        """The objects of this modality that the archive holds now."""
        found = []
        for identifier in self.server.get("/instances"):
            url = f"{self.server.url}/instances/{identifier}/file"
            found.append(dcmread(BytesIO(requests.get(url, auth=self.server.auth, timeout=30).content)))
        return [each for each in found if each.Modality == modality]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the library is kept once the first test has made it: that takes seconds."""
    return tmp_path_factory.mktemp("reporting")


@pytest.fixture
def files(make_dicom: Make) -> dict[str, bytes]:
    """Three patients with an image each, one of them ultrasound, and a fourth with a volume."""
    slices = np.random.default_rng(90).integers(0, 4095, (VOLUME_FRAMES, 24, 24), dtype=np.uint16)
    volume = {"NumberOfFrames": VOLUME_FRAMES, "PixelData": slices.tobytes()}
    return {
        "asked": patient(make_dicom, 1, "Zimmermann^Adelheid", SpecificCharacterSet="ISO_IR 100"),
        "other": patient(make_dicom, 2, "Quincke^Heinrich"),
        "echo": patient(make_dicom, 3, "Fontane^Theodor", Modality="US"),
        "volume": patient(make_dicom, 4, "Wrangel^Fritz", **volume),
    }


@pytest.fixture
def library(
    once: Path, settings: Settings, files: dict[str, bytes], make_png: Make, add_network: Callable[..., str]
) -> Iterator[Database]:
    """The files, and a plain image, ingested and with features."""
    if not (once / "data").is_dir():
        for name, data in {**files, "plain.png": make_png(7)}.items():
            (once / "files").mkdir(exist_ok=True)
            (once / "files" / name).write_bytes(data)
        fill(settings, once / "files", add_network)
        shutil.copytree(settings.data, once / "data")
    shutil.copytree(once / "data", settings.data, dirs_exist_ok=True)
    database = Database(settings.resolved_database_url)
    yield database
    database.dispose()


def fill(settings: Settings, folder: Path, add_network: Callable[..., str]) -> None:
    settings.data.mkdir(parents=True)
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    failed: list[CbmirError] = []
    ingest(database, settings, (folder,), None, Silence(), lambda _, error: failed.append(error))
    assert failed == []
    add_network(database)
    extract(database, settings, None, Silence())
    database.dispose()


@pytest.fixture
def hospital(
    library: Database, settings: Settings, files: dict[str, bytes], start_orthanc: Callable[..., Any]
) -> Iterator[Hospital]:
    """The library, and an Orthanc that holds its objects, all but the plain image."""
    server = start_orthanc("OrthancDicomWeb")
    for data in files.values():
        server.send(data)
    objects = {name: dcmread(BytesIO(data)) for name, data in files.items()}
    credentials = Credentials(username=server.username, password=server.password)
    add(library, settings, Connection("pacs", ArchiveKind.ORTHANC, server.url, credentials))
    with opened(library, settings, "pacs") as archive:
        yield Hospital(library, settings, server, archive, objects)
    server.process.kill()  # asked politely, it takes seconds to end


def patient(make_dicom: Make, number: int, name: str, **attributes: Any) -> bytes:
    return make_dicom(
        number,
        PatientName=name,
        PatientID=f"KH-471{number}",
        PatientBirthDate=f"1961071{number}",
        PatientSex="O",
        StudyDate="20190403",
        StudyTime="101112",
        StudyID=f"ST-{number}",
        AccessionNumber=f"ACC-881{number}",
        ReferringPhysicianName="Graefe^Albrecht",
        InstitutionName="Sankt Marien",
        ImageComments=f"{name}, born 1961",
        **attributes,
    )
