"""What a compressed frame says of itself."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from cbmir.dicom.codestream import declared_size, declares_sign, jpeg_precision
from cbmir.dicom.read import read_dataset


@pytest.mark.parametrize("file_format", ["JPEG", "JPEG2000"])
@settings(deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_the_size_is_read(file_format: str, rows: int, columns: int) -> None:
    stream = BytesIO()
    Image.fromarray(np.zeros((rows, columns), np.uint8)).save(stream, file_format)
    assert declared_size(stream.getvalue()) == (rows, columns)


@pytest.mark.parametrize(
    ("name", "signed"),
    [("MR_small_jp2klossless.dcm", True), ("MR_small_jpeg_ls_lossless.dcm", False), ("JPGExtended.dcm", False)],
)
def test_real_frames_say_what_their_headers_say(name: str, signed: bool) -> None:
    dataset = read_dataset(Path(get_testdata_file(name)).read_bytes(), name)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    assert declared_size(frame) == (dataset.Rows, dataset.Columns)
    assert declares_sign(frame) == signed


@pytest.mark.parametrize(
    ("name", "bits"), [("JPGExtended.dcm", 12), ("SC_rgb_jpeg_gdcm.dcm", 8), ("693_J2KI.dcm", None)]
)
def test_the_precision_of_a_jpeg(name: str, bits: int | None) -> None:
    dataset = read_dataset(Path(get_testdata_file(name)).read_bytes(), name)
    assert jpeg_precision(get_frame(dataset.PixelData, 0, number_of_frames=1)) == bits


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"]))
def test_noise_is_survived(noise: bytes, start: bytes) -> None:
    declared_size(start + noise)
    declares_sign(start + noise)
    jpeg_precision(start + noise)
