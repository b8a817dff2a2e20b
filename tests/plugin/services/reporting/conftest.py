"""A library of objects that a real Orthanc holds, and answers kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from pydicom import Dataset, dcmread

from cbmir.archive.base import Fetched, RemoteInstance
from cbmir.errors import ArchiveRefused, CbmirError, NotFound
from cbmir.progress import Silence
from cbmir.services.extract import extract
from cbmir.services.ingest import ingest
from cbmir.services.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import jobs, queries
from cbmir.store.session import Database
from cbmir.types import JobKind

Make = Callable[..., bytes]

VOLUME_FRAMES = 5


class OrthancRest:
    """As much of an archive as reports ask for, over Orthanc's own REST API."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def instances(self, study_instance_uid: str) -> Iterator[RemoteInstance]:
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_instance_uid}, "Expand": True}
        found = requests.post(f"{self.server.url}/tools/find", json=query, auth=self.server.auth, timeout=30)
        for each in found.json():
            series = self.server.get(f"/instances/{each['ID']}/series")["MainDicomTags"]["SeriesInstanceUID"]
            uid = each["MainDicomTags"]["SOPInstanceUID"]
            yield RemoteInstance(uid, series, study_instance_uid, remote_id=each["ID"])

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        for each in instances:
            url = f"{self.server.url}/instances/{each.remote_id}/file"
            answer = requests.get(url, auth=self.server.auth, timeout=30)
            if answer.status_code == 404:
                yield Fetched(each, error=NotFound("Gone."))
                continue
            path = folder / f"{each.sop_instance_uid}.dcm"
            path.write_bytes(answer.content)
            yield Fetched(each, path)

    def store(self, files: Sequence[Path]) -> None:
        for file in files:
            try:
                self.server.send(file.read_bytes())
            except requests.HTTPError as error:
                raise ArchiveRefused("It does not take an object.") from error


@dataclass(frozen=True)
class Hospital:
    """An installation and its archive: what was ingested, by file name."""

    database: Database
    settings: Settings
    archive: OrthancRest
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
        for identifier in self.archive.server.get("/instances"):
            server = self.archive.server
            url = f"{server.url}/instances/{identifier}/file"
            found.append(dcmread(BytesIO(requests.get(url, auth=server.auth, timeout=30).content)))
        return [each for each in found if each.Modality == modality]


@pytest.fixture
def hospital(
    tmp_path: Path,
    database: Database,
    settings: Settings,
    start_orthanc: Callable[..., Any],
    make_dicom: Make,
    make_png: Make,
    add_network: Callable[..., str],
) -> Iterator[Hospital]:
    """Three patients with an image each, one of them ultrasound; a volume; and a plain image, in no archive."""
    folder = tmp_path / "files"
    folder.mkdir()
    slices = np.random.default_rng(90).integers(0, 4095, (VOLUME_FRAMES, 24, 24), dtype=np.uint16)
    files = {
        "asked": patient(make_dicom, 1, "Zimmermann^Adelheid", SpecificCharacterSet="ISO_IR 100"),
        "other": patient(make_dicom, 2, "Quincke^Heinrich"),
        "echo": patient(make_dicom, 3, "Fontane^Theodor", Modality="US"),
        "volume": patient(make_dicom, 4, "Wrangel^Fritz", NumberOfFrames=VOLUME_FRAMES, PixelData=slices.tobytes()),
    }
    server = start_orthanc()
    for name, data in files.items():
        (folder / name).write_bytes(data)
        server.send(data)
    (folder / "plain.png").write_bytes(make_png(7))
    failed: list[CbmirError] = []
    ingest(database, settings, (folder,), None, Silence(), lambda _, error: failed.append(error))
    assert failed == []
    add_network(database)
    extract(database, settings, None, Silence())
    objects = {name: dcmread(BytesIO(data)) for name, data in files.items()}
    yield Hospital(database, settings, OrthancRest(server), objects)
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
