"""`cbmir convert`: PNGs, and a manifest that says how each was made."""

from __future__ import annotations

import json
import os
import signal
import time
import zipfile
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from cbmir.dicom.rendering import Rendering
from cbmir.services.conversion import develop, isolation, keep
from cbmir.settings import Settings
from cbmir.types import InstanceHeader

Cli = Callable[..., Any]
Make = Callable[..., bytes]


def files(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def manifest(out: Path) -> Any:
    return json.loads((out / "manifest.json").read_text())


def test_an_object_gives_a_png_for_each_frame(cbmir: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = cbmir("convert", get_testdata_file("rtdose.dcm"), "-o", out, "--json")
    assert (ended.status, ended.err) == (0, "")
    (entry,) = ended.json
    assert entry == manifest(out)[0]
    assert entry["file"] == "rtdose.dcm"
    assert (entry["modality"], entry["photometric"], entry["frames"]) == ("RTDOSE", "MONOCHROME2", 15)
    assert entry["transfer_syntax"] == "Implicit VR Little Endian"
    assert "patient_key" not in entry
    pictures = entry["pictures"]
    assert [picture["frame_number"] for picture in pictures] == list(range(1, 16))
    assert files(out) == sorted([*(picture["png"] for picture in pictures), "manifest.json"])
    for picture in pictures:
        shown = np.asarray(Image.open(out / picture["png"]))
        assert shown.shape == (picture["rows"], picture["columns"])
        assert picture["output_range"] == [shown.min(), shown.max()]
        assert picture["steps"][0] == "decoded: uncompressed"


class Told:
    """Progress that keeps all that it was told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def update(self, done: int, total: int, message: str = "", detail: object = None) -> None:
        self.steps.append((done, total))


def test_a_folder_is_listed_as_its_files_are_converted(
    tmp_path: Path, make_png: Make, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(develop, "AT_ONCE", 1)
    monkeypatch.setattr(develop.os, "cpu_count", lambda: 1)
    names = [*(f"a/{number}.png" for number in range(1, 9)), "b/9.png"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(make_png(1))
    told = Told()
    entries = develop.develop([tmp_path / "in"], tmp_path / "out", develop.Wanted(Rendering()), settings, told)
    assert next(entries)["file"] == names[0]
    (tmp_path / "in" / "b" / "late.png").write_bytes(make_png(4))
    assert [entry["file"] for entry in entries] == [*names[1:], "b/late.png"]
    assert told.steps == [*((done, 9) for done in range(10)), (10, 10), (10, 10)]


def test_a_window_and_a_size(cbmir: Cli, tmp_path: Path) -> None:
    path = get_testdata_file("CT_small.dcm")
    (entry,) = cbmir("convert", path, "-o", tmp_path / "a", "--window", "-600,1500", "--size", 32, "--json").json
    (picture,) = entry["pictures"]
    assert (picture["rows"], picture["columns"]) == (32, 32)
    assert picture["steps"][1:3] == ["rescaled: times 1, plus -1024", "window -600/1500 LINEAR, as asked"]
    (other,) = cbmir("convert", path, "-o", tmp_path / "b", "--window", "full", "--json").json
    assert other["pictures"][0]["steps"][2].startswith("all values:")
    assert other["pipeline"] != entry["pipeline"]


def test_each_window_of_an_object(cbmir: Cli, tmp_path: Path, make_dicom: Make) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom(WindowCenter=[100, 2000], WindowWidth=[200, 4000]))
    (entry,) = cbmir("convert", path, "-o", tmp_path / "out", "--window", "all", "--json").json
    assert [picture["png"].rpartition("-")[2] for picture in entry["pictures"]] == ["window1.png", "window2.png"]
    assert [picture["steps"][1] for picture in entry["pictures"]] == [
        "window 100/200 LINEAR, 1 of 2",
        "window 2000/4000 LINEAR, 2 of 2",
    ]


def test_frames_may_have_more_windows_than_the_first(cbmir: Cli, tmp_path: Path, make_dicom: Make) -> None:
    frames = []
    for windows in ([100], [100, 2000, 9]):
        voi, frame = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = windows, [2 * each for each in windows]
        frame.FrameVOILUTSequence = [voi]
        frames.append(frame)
    pixels = 2 * dcmread(BytesIO(make_dicom())).PixelData
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom(NumberOfFrames=2, PixelData=pixels, PerFrameFunctionalGroupsSequence=frames))
    (entry,) = cbmir("convert", path, "-o", tmp_path / "out", "--window", "all", "--json").json
    made = [picture["png"].split("-", 1)[1] for picture in entry["pictures"]]
    assert made == ["0001-window1.png", "0002-window1.png", "0002-window2.png", "0002-window3.png"]


def test_a_folder_with_what_cannot_be_converted(
    cbmir: Cli, tmp_path: Path, make_png: Make, make_dicom: Make
) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(make_dicom(1))
    (folder / "same uid.dcm").write_bytes(make_dicom(1, PatientID="other"))
    (folder / "b.png").write_bytes(make_png(2))
    (folder / "report.txt").write_text("Nothing to see.")
    with zipfile.ZipFile(folder / "c.zip", "w") as packed:
        packed.writestr("inside.dcm", make_dicom(3))
    out = tmp_path / "out"
    ended = cbmir("convert", folder, "-o", out)
    assert ended.status == 0
    assert ended.out.startswith("4 pictures of 4 objects in")
    assert "1 not converted" in ended.out
    assert ended.err.startswith("cbmir: report.txt is a text file")
    found = {entry["file"]: entry for entry in manifest(out)}
    assert found["report.txt"]["error"]["code"] == "not-a-picture"
    names = [entry["pictures"][0]["png"] for entry in found.values() if "error" not in entry]
    assert len(set(names)) == 4
    assert not any("Doe" in name for name in files(out))
    assert "Doe" not in (out / "manifest.json").read_text()


def test_what_is_known_of_a_refused_file_is_said(cbmir: Cli, tmp_path: Path, make_dicom: Make) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    report = dcmread(BytesIO(make_dicom(1, PatientName="Doe^Jane")))
    del report.PixelData
    report.save_as(folder / "without pixels.dcm")
    (folder / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 100)
    (folder / "note.txt").write_text("Nothing to see.")
    (folder / "pack.zip").write_bytes(b"PK\3\4 and no more")
    (folder / "DICOMDIR").write_bytes(b"no directory")
    ended = cbmir("convert", folder, folder / "DICOMDIR", "-o", tmp_path / "out", "--json")
    found = {entry["file"]: entry for entry in ended.json}
    assert all(entry["error"]["remedy"] for entry in found.values())
    for name, entry in found.items():
        assert entry["sha256"] == sha256((folder / name).read_bytes()).hexdigest()
    known = found.pop("without pixels.dcm")
    assert known["error"]["code"] == "no-pixels"
    assert known["sop_instance_uid"] == report.SOPInstanceUID
    assert (known["modality"], known["transfer_syntax"]) == ("MR", "Explicit VR Little Endian")
    assert "patient_key" not in known
    assert "Doe" not in ended.out
    assert set(found) == {"cut.dcm", "note.txt", "pack.zip", "DICOMDIR"}
    assert all(set(entry) == {"file", "sha256", "error"} for entry in found.values())


def test_a_file_without_bytes_to_read_has_no_hash(cbmir: Cli, tmp_path: Path, make_png: Make) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(make_png(1))
    os.mkfifo(tmp_path / "in" / "pipe")
    ended = cbmir("convert", tmp_path / "in", "-o", tmp_path / "out", "--json")
    (pipe,) = (entry for entry in ended.json if "error" in entry)
    assert set(pipe) == {"file", "error"}
    assert "a pipe" in pipe["error"]["reason"]


def test_frames_made_before_a_damaged_one_are_kept_and_listed(cbmir: Cli, tmp_path: Path) -> None:
    data = bytearray(Path(get_testdata_file("rtdose_rle.dcm")).read_bytes())
    last = data.rindex(b"\xfe\xff\x00\xe0") + 8
    data[last : last + 64] = bytes(64)  # the RLE header of frame 15
    path = tmp_path / "cut.dcm"
    path.write_bytes(data)
    ended = cbmir("convert", path, "-o", tmp_path / "out")
    assert ended.status == 1
    (entry,) = manifest(tmp_path / "out")
    assert entry["error"]["code"] == "undecodable"
    assert "frame 15" in entry["error"]["reason"]
    assert len(entry["pictures"]) == 14


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--window", "nan,400"), 2, "'nan,400' is no window."),
        (("--window", "wide"), 2, "'wide' is no window. Give auto, voi, full, or CENTER,WIDTH"),
        (("--window", "40,0"), 2, "A window cannot be 0 wide"),
        (("--frames", "some"), 2, "There is no frame policy 'some'"),
        (("--size", "0"), 2, "0 is not in the range"),
        (("--crop", "skin"), 2, "'skin' is not one of"),
    ],
)
def test_wrong_calls(cbmir: Cli, tmp_path: Path, words: tuple[str, ...], status: int, said: str) -> None:
    ended = cbmir("convert", get_testdata_file("CT_small.dcm"), "-o", tmp_path / "out", *words)
    assert (ended.status, ended.out) == (status, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_the_output_may_not_lie_in_the_input(cbmir: Cli, tmp_path: Path, make_png: Make) -> None:
    (tmp_path / "a.png").write_bytes(make_png(1))
    ended = cbmir("convert", tmp_path, "-o", tmp_path / "out")
    assert ended.status == 1
    assert "lies within" in ended.err
    assert not (tmp_path / "out").exists()


def test_an_empty_folder(cbmir: Cli, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    ended = cbmir("convert", tmp_path / "none", "-o", tmp_path / "out")
    assert (ended.status, manifest(tmp_path / "out")) == (1, [])


def test_an_earlier_conversion_is_not_written_over(cbmir: Cli, tmp_path: Path) -> None:
    words = ("convert", get_testdata_file("CT_small.dcm"), "-o", tmp_path / "out")
    assert cbmir(*words).status == 0
    again = cbmir(*words)
    assert again.status == 1
    assert "holds an earlier conversion" in again.err


def test_a_name_that_is_no_utf8(cbmir: Cli, tmp_path: Path, make_png: Make) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff.png"))
    path.write_bytes(make_png(1))
    assert cbmir("convert", path, "-o", tmp_path / "out").status == 0
    assert manifest(tmp_path / "out")[0]["file"] == "x\\udcff.png"


def test_all_frames_are_cropped_alike(cbmir: Cli, tmp_path: Path) -> None:
    path = get_testdata_file("examples_ybr_color.dcm")
    (entry,) = cbmir(
        "convert", path, "-o", tmp_path / "out", "--crop", "tissue", "--frames", "every:6", "--json"
    ).json
    assert len({(picture["rows"], picture["columns"]) for picture in entry["pictures"]}) == 1
    assert entry["pictures"][0]["steps"][2].startswith("cropped to tissue")


def test_a_decoder_that_crashes_or_hangs_ends_with_its_file_and_the_rest_goes_on(
    cbmir: Cli, tmp_path: Path, make_png: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at, name in enumerate(("crashes.png", "fine.png", "hangs.png", "hard to name.png")):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(make_png(at))
    monkeypatch.setattr(isolation, "SECONDS", 5.0)
    monkeypatch.setattr(develop, "header_of", named)
    monkeypatch.setattr(develop, "_made", made)
    ended = cbmir("convert", tmp_path / "in", "-o", tmp_path / "out", "--json")
    said = {entry["file"]: entry.get("error", {}).get("reason", "") for entry in ended.json}
    assert said == {
        "crashes.png": "crashes.png made its decoder crash.",
        "fine.png": "",
        "hangs.png": "hangs.png took more than 5 seconds to convert.",
        "hard to name.png": "hard to name.png made its decoder crash.",
    }
    assert ended.status == 0
    assert len(files(tmp_path / "out")) == 2


def named(content: Any, name: str, *how: Any) -> InstanceHeader | None:
    """Dies over the header of one file."""
    if name == "hard to name.png":
        signal.raise_signal(signal.SIGSEGV)
    return keep.header_of(content, name, *how)


def made(content: Any, name: str, *how: Any) -> develop.Entry:
    """Dies over the pixels of one file, and comes to no end over another's."""
    if name == "crashes.png":
        signal.raise_signal(signal.SIGSEGV)
    if name == "hangs.png":
        time.sleep(600)
    return develop._made(content, name, *how)
