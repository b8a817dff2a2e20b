"""Filling a real Orthanc with good files, damaged ones, and what is no DICOM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.cli.demos.pacs_filling import by_uid, send, uids_in
from cbmir.progress import Silence


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Three good objects, one that calls its plain pixels compressed, one whose UID is a path, and a text."""
    made = {}
    for name in ("good-1", "bad", "good-2", "good-3", "nameless"):
        dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
        made[name] = tmp_path / f"{name}.dcm"
        dataset.save_as(made[name])
    right, wrong = ExplicitVRLittleEndian.encode(), RLELossless.encode()
    made["bad"].write_bytes(made["bad"].read_bytes().replace(right, wrong, 1))
    given = generate_uid(entropy_srcs=["nameless"]).encode()
    made["nameless"].write_bytes(
        made["nameless"].read_bytes().replace(given, b"../../evil".ljust(len(given), b"x"))
    )
    made["text"] = tmp_path / "a-text.dcm"
    made["text"].write_text("no DICOM")
    return made


def test_what_is_damaged_is_told_and_all_else_arrives(
    files: dict[str, Path], start_orthanc: Callable[..., Any]
) -> None:
    running = start_orthanc()
    address = f"ORTHANC@127.0.0.1:{running.dicom_port}"
    by_dimse = Connection("orthanc", ArchiveKind.DIMSE, address, timeout_seconds=2)
    by_rest = Connection("orthanc", ArchiveKind.ORTHANC, running.url, Credentials(*running.auth))

    found = by_uid(files.values())
    assert sorted(found.values()) == sorted(
        file for name, file in files.items() if name not in ("text", "nameless")
    )
    assert send(by_dimse, by_rest, list(found.values()), Silence()) == [files["bad"]]
    good = {uid for uid, file in found.items() if file != files["bad"]}
    assert uids_in(by_rest) == good
    assert send(by_dimse, by_rest, [file for uid, file in found.items() if uid in good], Silence()) == []
