"""A real Orthanc that is followed, and objects to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.uid import generate_uid

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.progress import Silence
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed, add, followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Ingested
from cbmir.settings import Settings
from cbmir.store.session import Database

MakeObject = Callable[..., bytes]


@pytest.fixture
def make_object(make_dicom: Callable[..., bytes]) -> MakeObject:
    """Bytes of an object: of a patient, a study and a series of these numbers; `seed` gives pixels and UID."""

    def make(seed: int, patient: int = 0, study: int = 0, **attributes: object) -> bytes:
        study_uid = generate_uid(entropy_srcs=["study", f"{patient}.{study}"])
        described = {
            "PatientID": f"P{patient}",
            "StudyInstanceUID": study_uid,
            "SeriesInstanceUID": f"{study_uid[:60]}.1",
            "SOPInstanceUID": _uid_of(seed),
            "StudyDate": "20240102",
            "StudyTime": "101500",
            "AccessionNumber": "",
            "StudyID": "1",
            "PatientBirthDate": "19700101",
            "PatientSex": "F",
            "InstanceNumber": str(seed),
            "SeriesNumber": "1",
        }
        return make_dicom(seed, **{**described, **attributes})

    return make


@pytest.fixture
def uid_of() -> Callable[[int], str]:
    """The SOP Instance UID of the object of a seed."""
    return _uid_of


def _uid_of(seed: int) -> str:
    return str(generate_uid(entropy_srcs=["object", str(seed)]))


@pytest.fixture
def pacs(orthanc: Any) -> Any:
    """A real Orthanc, without any object."""
    return orthanc


@pytest.fixture(params=[ArchiveKind.ORTHANC, ArchiveKind.DICOMWEB])
def connection(request: pytest.FixtureRequest, pacs: Any) -> Connection:
    """How the Orthanc is reached: by its own API, and by DICOMweb, which has no log."""
    base = pacs.url if request.param is ArchiveKind.ORTHANC else f"{pacs.url}/dicom-web"
    return Connection("pacs", request.param, base, Credentials(username=pacs.username, password=pacs.password))


@pytest.fixture
def archive(database: Database, settings: Settings, connection: Connection) -> Iterator[Followed]:
    """The Orthanc, followed."""
    add(database, settings, connection)
    with followed(database, settings, "pacs") as found:
        yield found


@pytest.fixture
def isolation() -> Iterator[Isolation]:
    """A process that converts."""
    with Isolation(1) as isolation:
        yield isolation


@pytest.fixture
def follow(archive: Followed, isolation: Isolation) -> Callable[[], Ingested]:
    """Looks at the archive once, as a follower does whose time has come, and fetches what is pending."""
    follower = Follower(archive)

    def look() -> Ingested:
        follower.count_at = follower.sweep_at = float("-inf")
        follower.look()
        return synchronise(archive, Silence(), isolation)

    return look
