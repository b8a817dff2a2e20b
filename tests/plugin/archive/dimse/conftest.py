"""A receiver of our own, and dcmtk's programs as its peers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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

QUICK = {**os.environ, "TCP_NODELAY": "1"}


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """One of dcmtk's programs, to its end."""
    if shutil.which(program) is None:
        pytest.skip("needs dcmtk: run `make services`")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, env=QUICK, capture_output=True, text=True, errors="replace", timeout=60)


@pytest.fixture
def dcmtk() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of dcmtk's programs: name, arguments."""
    return run


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


@dataclass(frozen=True)
class Qrscp:
    """dcmtk's dcmqrscp, running as an archive with the AE title QRSCP."""

    port: int
    folder: Path

    def send(self, *files: Path, options: tuple[str, ...] = ("-R",)) -> None:
        """Give it objects."""
        sent = run("storescu", *options, "-aec", "QRSCP", "127.0.0.1", self.port, *files)
        assert sent.returncode == 0, sent.stderr

    def copy(self, sop_instance_uid: str) -> bytes:
        """Its own file of an object."""
        files = (path for path in self.folder.iterdir() if path.name != "index.dat")
        return next(
            path.read_bytes()
            for path in files
            if pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID == sop_instance_uid
        )


QRSCP_CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
us = (CBMIR, 127.0.0.1, {move_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {folder} RW (200, 1024mb) ANY
AETable END
"""


@pytest.fixture
def move_port() -> int:
    """Where a C-MOVE to CBMIR goes."""
    return free_port()


@pytest.fixture
def qrscp(tmp_path: Path, move_port: int) -> Iterator[Qrscp]:
    """dcmqrscp, which sends what CBMIR asks to be moved to `move_port`."""
    if shutil.which("dcmqrscp") is None:
        pytest.skip("needs dcmtk: run `make services`")
    server = Qrscp(free_port(), tmp_path / "qrscp")
    server.folder.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        QRSCP_CONFIGURATION.format(port=server.port, folder=server.folder, move_port=move_port)
    )
    process = subprocess.Popen(["dcmqrscp", "-c", str(configuration)], env=QUICK, stderr=subprocess.DEVNULL)
    wait_for(server.port)
    yield server
    process.kill()
    process.wait()


def wait_for(port: int) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.05)


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def connect(move_port: int) -> Callable[..., DimseArchive]:
    """An archive at AE title and port on loopback; keyword arguments are fields of `Connection`."""

    def make(aet: str, port: int, **how: Any) -> DimseArchive:
        how = {"move_port": move_port, "timeout_seconds": 10.0, "parallel": 2, **how}
        return DimseArchive(Connection("pacs", ArchiveKind.DIMSE, f"{aet}@127.0.0.1:{port}", **how))

    return make
