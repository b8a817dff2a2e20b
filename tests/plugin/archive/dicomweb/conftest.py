"""How servers answer WADO-RS, well or badly (PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from cbmir.archive.base import RemoteInstance

HEADERS = {"Content-Type": 'multipart/related; type="application/dicom"; boundary="a-boundary"'}


def multipart(*objects: bytes) -> bytes:
    """A message that holds these objects, one in each part."""
    parts = [b"--a-boundary\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in objects]
    return b"".join(parts) + b"--a-boundary--"


def answer(*objects: bytes, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """The answer whose body that is; `cut` is a scripted server's own."""
    return 200, multipart(*objects), HEADERS | headers


def announced(data: bytes, length: int) -> tuple[int, bytes, dict[str, str]]:
    """An answer that says how long its object is."""
    head = f"--a-boundary\r\nContent-Type: application/dicom\r\nContent-Length: {length}\r\n\r\n".encode()
    return 200, head + data + b"\r\n--a-boundary--", HEADERS


def remote(data: bytes) -> RemoteInstance:
    """An object as a list names it."""
    found = pydicom.dcmread(BytesIO(data))
    return RemoteInstance(found.SOPInstanceUID, found.SeriesInstanceUID, found.StudyInstanceUID)


class Hospital:
    """Objects of one series or several, given one by one, and as a series as `series` says."""

    def __init__(self, objects: list[bytes]) -> None:
        self.objects = {remote(data): data for data in objects}
        self.of_series: Callable[[list[bytes]], Any] = lambda found: answer(*found)
        self.asked: list[str] = []

    def __call__(self, asked: Any) -> Any:
        self.asked.append(asked.path)
        uid = asked.path.rpartition("/")[2]
        if "/instances/" not in asked.path:
            return self.of_series([d for each, d in self.objects.items() if each.series_instance_uid == uid])
        found = [data for each, data in self.objects.items() if each.sop_instance_uid == uid]
        return answer(*found) if found else (404, b"", {})

    @property
    def uids(self) -> list[str]:
        return [each.sop_instance_uid for each in self.objects]

    @property
    def one_by_one(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.asked if "/instances/" in path]

    @property
    def series(self) -> int:
        return len(self.asked) - len(self.one_by_one)


@pytest.fixture
def wado() -> SimpleNamespace:
    """What servers say, `answer`, `announced`, or `headers` and `multipart` body, and what lists name, `remote`."""
    return SimpleNamespace(headers=HEADERS, multipart=multipart, answer=answer, announced=announced, remote=remote)


@pytest.fixture
def make_hospital() -> Callable[[list[bytes]], Any]:
    """A server's script for these objects."""
    return Hospital


@pytest.fixture
def make_series(make_dicom: Callable[..., bytes]) -> Callable[..., list[bytes]]:
    """So many small objects of one series."""

    def make(count: int, **attributes: Any) -> list[bytes]:
        same = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "PatientID": "P"}
        return [make_dicom(seed, SOPInstanceUID=generate_uid(), **same, **attributes) for seed in range(count)]

    return make
