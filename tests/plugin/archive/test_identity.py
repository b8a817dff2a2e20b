"""Whose file it is: by the file's bytes where nothing is unusual, and as pydicom has it everywhere."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian

from cbmir.archive import identity
from cbmir.archive.identity import sop_instance_uid
from cbmir.errors import BrokenFile

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
UID = b"\x08\0\x18\0UI\4\x001.2\0"


@pytest.mark.filterwarnings("ignore")
def test_the_uid_of_every_file_is_what_pydicom_reads() -> None:
    compared = 0
    for path in sorted(FILES.rglob("*.dcm")):
        wanted = dcmread(path, force=True, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID")
        if wanted and "deflate" not in path.name and path.read_bytes()[128:132] == b"DICM":
            compared += 1
            assert sop_instance_uid(path, "x") == wanted, path.name
    assert compared > 60


@pytest.mark.parametrize("implicit", [True, False])
def test_nothing_of_an_ordinary_file_is_left_to_pydicom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "x.dcm", implicit_vr=implicit, little_endian=True)
    monkeypatch.delattr(identity, "read_partial")
    assert sop_instance_uid(tmp_path / "x.dcm", "x") == dataset.SOPInstanceUID


def test_of_two_uids_the_last_one_counts_as_for_whoever_converts_the_file(tmp_path: Path) -> None:
    data = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    at = data.index(b"\x08\0\x18\0UI")
    (tmp_path / "x.dcm").write_bytes(data[:at] + UID + data[at:])
    read = dcmread(BytesIO(data[:at] + UID + data[at:])).SOPInstanceUID
    assert sop_instance_uid(tmp_path / "x.dcm", "x") == read != "1.2"


def test_without_a_uid_it_is_nobodys(tmp_path: Path) -> None:
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    del dataset.SOPInstanceUID
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=False)
    with pytest.raises(BrokenFile, match="x has no SOP Instance UID"):
        sop_instance_uid(tmp_path / "x.dcm", "x")
