"""A receiver of our own, and dcmtk's programs as its peers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from cbmir.archive.dimse.receiver import Receiver, Reception

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
def data_set() -> Callable[[Path], bytes]:
    """The bytes of a file behind its meta information."""

    def read(file: Path) -> bytes:
        content = file.read_bytes()
        length = pydicom.filereader.read_file_meta_info(file).FileMetaInformationGroupLength
        return content[128 + 4 + 12 + length :]

    return read
