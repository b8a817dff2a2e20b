"""Any file's bytes to pictures: the gallery and the query go the same way."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from cbmir.errors import BadRequest, BrokenFile, ImplausibleSize, NotAPicture, NotFound
from cbmir.services.conversion.convert import convert as convert_hashed
from cbmir.services.conversion.convert import convert_one, is_outdated, open_file, pipelines
from cbmir.settings import Settings
from cbmir.types import ConvertedObject, Picture

Make = Callable[..., bytes]


def convert(data: bytes, name: str, settings: Settings) -> ConvertedObject:
    return convert_hashed(data, name, settings, hashlib.sha256(data).hexdigest())


def test_an_image_has_no_header(make_png: Make, settings: Settings) -> None:
    data = make_png(1)
    found = convert(data, "a.png", settings)
    assert found.header is None
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.pipeline == pipelines(settings)["picture-2d"]
    (picture,) = found.pictures
    assert (picture.frame_number, picture.pixels.shape, picture.pixels.dtype) == (1, (24, 24), np.uint8)


def test_a_dicom_object_has_one(make_dicom: Make, settings: Settings) -> None:
    found = convert(make_dicom(1), "a.dcm", settings)
    assert found.header is not None
    assert (found.header.modality, found.header.body_part, found.header.patient_key) == ("MR", "HEAD", "P1\\")
    assert found.pipeline == pipelines(settings)["dicom-2d"]
    assert found.pictures[0].pixels.shape == (24, 24)


def test_content_decides_and_not_the_name(make_png: Make, make_dicom: Make, settings: Settings) -> None:
    assert convert(make_png(1), "a.dcm", settings).header is None
    assert convert(make_dicom(1), "a.png", settings).header is not None


def test_a_dicom_object_behind_an_image_signature_is_one(make_dicom: Make, settings: Settings) -> None:
    """The preamble may hold a TIFF header, for files that are both (PS3.10 7.1)."""
    dual = b"II*\0" + make_dicom(1)[4:]
    assert convert(dual, "dual", settings).header is not None


def test_large_pictures_are_shrunk(make_png: Make, settings: Settings) -> None:
    found = convert(make_png(1, side=300), "a.png", replace(settings, picture_side=100))
    assert found.pictures[0].pixels.shape == (100, 100)


def test_no_more_frames_than_wanted(settings: Settings) -> None:
    data = Path(get_testdata_file("rtdose.dcm")).read_bytes()
    assert len(convert(data, "dose", settings).pictures) == 15
    few = convert(data, "dose", replace(settings, max_frames=5)).pictures
    assert [each.frame_number for each in few] == [2, 5, 8, 11, 14]


def test_the_same_file_gives_the_same_pictures(settings: Settings) -> None:
    data = Path(get_testdata_file("examples_palette.dcm")).read_bytes()
    first, second = (convert(data, name, settings) for name in ("a", "b"))
    assert all(
        np.array_equal(one.pixels, other.pixels) for one, other in zip(first.pictures, second.pictures, strict=True)
    )


def test_a_png_of_a_dicom_picture_gives_the_same_picture(settings: Settings) -> None:
    """A screenshot of a gallery member is the same query as the member itself."""
    first = convert(Path(get_testdata_file("MR_small.dcm")).read_bytes(), "mr", settings).pictures[0].pixels
    stream = BytesIO()
    Image.fromarray(first).save(stream, "PNG")
    assert np.array_equal(convert(stream.getvalue(), "mr.png", settings).pictures[0].pixels, first)


def test_refusals(make_png: Make, settings: Settings) -> None:
    with pytest.raises(BrokenFile, match=r"none\.dcm is empty"):
        convert(b"", "none.dcm", settings)
    with pytest.raises(NotAPicture, match=r"notes\.dcm is a text file"):
        convert(b"The quick brown fox.\n" * 20, "notes.dcm", settings)
    with pytest.raises(ImplausibleSize, match="300 x 300"):
        convert(make_png(1, side=300), "a.png", replace(settings, max_pixels=10_000))


def test_a_large_file_that_is_no_picture_is_not_read_as_a_whole(tmp_path: Path, settings: Settings) -> None:
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42")
        file.truncate(settings.max_file_bytes + 1)
    with film.open("rb") as file, pytest.raises(NotAPicture, match="unknown format"):
        open_file(file, film.name, settings)


def test_conversion_says_nothing_on_stderr_and_warns_of_nothing() -> None:
    """Real files with invalid values, in a process that shows warnings and logs as a worker would."""
    program = """
import logging, sys
from pathlib import Path
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings
from cbmir.errors import UnusableInput
logging.basicConfig(level=logging.WARNING)
for name in sys.argv[1:]:
    try:
        convert(Path(name).read_bytes(), name, Settings(), "0" * 64)
    except UnusableInput:
        print("refused")
"""
    names = ["badVR.dcm", "JPGExtended.dcm", "JPEG2000-embedded-sequence-delimiter.dcm", "MR_truncated.dcm"]
    names += ["SC_rgb_jpeg_app14_dcmd.dcm", "MR_small_padded.dcm", "693_J2KI.dcm", "rtplan_truncated.dcm"]
    paths = [str(get_testdata_file(name)) for name in names]
    done = subprocess.run([sys.executable, "-W", "default", "-c", program, *paths], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("refused") == 4


def test_what_changes_a_picture_changes_the_pipeline(settings: Settings) -> None:
    today = pipelines(settings)
    assert all(re.fullmatch(r"(dicom|picture)-2d/\d+-[0-9a-f]{12}", each) for each in today.values())
    changes = {"picture_side": 256, "window": "full", "crop": "tissue", "waveform": "spectrogram"}
    others = [pipelines(replace(settings, **{name: value}))["dicom-2d"] for name, value in changes.items()]
    assert len({*others, today["dicom-2d"]}) == 5
    assert pipelines(replace(settings, max_frames=3, frames="all", max_pixels=5)) == today
    assert not is_outdated(today["dicom-2d"], settings)
    assert is_outdated("dicom-2d/1", settings)
    assert not is_outdated("import", settings)


def test_a_setting_that_does_not_exist_is_refused(settings: Settings, make_dicom: Make) -> None:
    for name in ("window", "crop", "waveform", "frames"):
        with pytest.raises(BadRequest, match="nonsense"):
            convert(make_dicom(1), "a.dcm", replace(settings, **{name: "nonsense"}))


def one(data: bytes, settings: Settings, frame_number: int | None) -> Picture:
    (picture,) = convert_one(data, "x", settings, "0" * 64, frame_number).pictures
    return picture


def test_one_frame_is_the_same_as_among_all(settings: Settings) -> None:
    data = Path(get_testdata_file("rtdose.dcm")).read_bytes()
    every = convert(data, "x", settings).pictures
    for number in (1, 7, 15):
        picture = one(data, settings, number)
        assert picture.frame_number == number
        assert np.array_equal(picture.pixels, every[number - 1].pixels)
    assert one(data, settings, None).frame_number == 8
    assert one(data, replace(settings, max_frames=5), None).frame_number == 8
    with pytest.raises(NotFound, match="no frame 16"):
        one(data, settings, 16)


def test_one_page_of_a_tiff(settings: Settings) -> None:
    stream = BytesIO()
    pages = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (10, 20, 30)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    data = stream.getvalue()
    assert [one(data, settings, number).pixels[0, 0] for number in (1, 3, None)] == [10, 30, 20]
    with pytest.raises(NotFound, match="no frame 4"):
        one(data, settings, 4)


def test_no_library_logs_beside_our_error(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Pillow logs that 128 samples a pixel are too many, which Python prints where nobody set up logging."""
    said = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 277: 128, 278: 4, 279: 16}
    tags = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in said.items())
    tiff = b"II*\0" + struct.pack("<L", 24) + bytes(16) + struct.pack("<H", len(said)) + tags + bytes(4)
    with pytest.raises(BrokenFile, match=r"a\.tif"):
        convert(tiff, "a.tif", settings)
    assert caplog.records == []
