"""A query and its hits, in several studies of several patients; and dcmtk's and dicom3tools' readers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage, RoutineScalpElectroencephalogramWaveformStorage

from cbmir.reports.host import to_bytes
from cbmir.reports.reference import Origin, Reference

QUERY = Reference("1.2.3", "1.2.3.4", MRImageStorage, "1.2.3.4.5")
HITS = (
    Reference("1.2.3", "1.2.3.9", MRImageStorage, "1.2.3.9.1", None, 1, 0.0123456789012, {"subclass": "glioma"}),
    Reference("1.2.4", "1.2.4.4", EnhancedMRImageStorage, "1.2.4.4.5", 7, 2, 0.25, {"subclass": "no_tumor"}),
    Reference("1.2.4", "1.2.4.4", EnhancedMRImageStorage, "1.2.4.4.5", 3, 3, 0.5),
    Reference("1.2.6", "1.2.6.4", RoutineScalpElectroencephalogramWaveformStorage, "1.2.6.4.5", None, 4, 2.0),
)
ORIGIN = Origin("7f4c", "cnn-autoencoder-1a2b3c4d", "0.1.0")


@pytest.fixture
def query() -> Reference:
    return QUERY


@pytest.fixture
def hits() -> tuple[Reference, ...]:
    """Of the query's own study; two frames of one object of another patient; a waveform of a third."""
    return HITS


@pytest.fixture
def origin() -> Origin:
    return ORIGIN


@pytest.fixture
def make_header() -> Callable[..., Dataset]:
    """The header of the query's object; keyword arguments are attributes, None takes one away."""

    def make(**attributes: Any) -> Dataset:
        header = Dataset()
        header.PatientName, header.PatientID, header.IssuerOfPatientID = "Doe^Jane", "P-4711", "HOSPITAL"
        header.PatientBirthDate, header.PatientSex = "19700203", "F"
        header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = "20240506", "0708", "S1", "A99"
        header.ReferringPhysicianName = "House^Gregory"
        header.StudyInstanceUID, header.SeriesInstanceUID = QUERY.study_instance_uid, QUERY.series_instance_uid
        header.SOPInstanceUID, header.SOPClassUID = QUERY.sop_instance_uid, QUERY.sop_class_uid
        for keyword, value in attributes.items():
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
        return header

    return make


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Dataset], Path]:
    """Writes a document into a file."""

    def write(document: Dataset) -> Path:
        path = tmp_path / f"{document.Modality}.dcm"
        path.write_bytes(to_bytes(document))
        return path

    return write


@pytest.fixture
def read_by() -> Callable[..., str]:
    """What an independent reader says of a file, which it must be able to read."""

    def read(program: str, *arguments: str | Path) -> str:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"needs {program}: run `make services`")
        done = subprocess.run([found, *arguments], capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, said
        return said

    return read
