"""A receiver of our own, and dcmtk's programs as its peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.archive.dimse.archive import DimseArchive
from cbmir.archive.dimse.receiver import Receiver
from cbmir.archive.dimse.reception import Reception


@pytest.fixture
def receive(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """Starts a receiver on a free port of loopback; keyword arguments are fields of `Reception`."""
    started: list[Receiver] = []

    def start(**how: Any) -> Receiver:
        how = {"folder": tmp_path / "received", "port": 0, "keep_free": 0, **how}
        started.append(Receiver(Reception(**how)))
        return started[-1]

    yield start
    for receiver in started:
        receiver.close(0.5)


@pytest.fixture
def objects(tmp_path: Path, make_dicom: Callable[..., bytes]) -> Callable[..., list[Path]]:
    """Writes so many small MR objects of one study and series, as files; keyword arguments change their headers."""

    def write(count: int = 1, first: int = 0, **attributes: Any) -> list[Path]:
        folder = tmp_path / "objects"
        folder.mkdir(exist_ok=True)
        shared = {"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.1.1", "PatientID": "P1", **attributes}
        files = []
        for seed in range(first, first + count):
            files.append(folder / f"{seed}.dcm")
            files[-1].write_bytes(make_dicom(seed, **shared))
        return files

    return write


@pytest.fixture
def in_syntaxes(tmp_path: Path) -> Callable[[Iterable[str]], list[Path]]:
    """pydicom's test files of these names with UIDs of their own, all in one study, as they are encoded."""

    def write(names: Iterable[str]) -> list[Path]:
        files = []
        for name in names:
            dataset = pydicom.dcmread(str(get_testdata_file(name)))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            dataset.StudyInstanceUID, dataset.PatientID = "1.2.3.7", "P7"
            dataset.SeriesInstanceUID = f"1.2.3.7.{len(str(dataset.SOPClassUID))}"
            dataset.pop("DataSetTrailingPadding", None)  # dcmtk leaves it out, and corrects the other
            if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
                dataset["PixelData"].VR = "OB"
            files.append(tmp_path / f"in-{name}")
            dataset.save_as(files[-1], enforce_file_format=True)
        return files

    return write


@pytest.fixture
def data_set() -> Callable[[Path], bytes]:
    """The bytes of a file behind its meta information."""

    def read(file: Path) -> bytes:
        content = file.read_bytes()
        length = pydicom.filereader.read_file_meta_info(file).FileMetaInformationGroupLength
        return content[128 + 4 + 12 + length :]

    return read


@pytest.fixture
def connect(move_port: int) -> Callable[..., DimseArchive]:
    """An archive at AE title and port on loopback; keyword arguments are fields of `Connection`."""

    def make(aet: str, port: int, **how: Any) -> DimseArchive:
        how = {"move_port": move_port, "timeout_seconds": 10.0, "parallel": 2, **how}
        return DimseArchive(Connection("pacs", ArchiveKind.DIMSE, f"{aet}@127.0.0.1:{port}", **how))

    return make
