"""What a compressed frame says of itself."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from cbmir.dicom.codestream import declared_shape, fault, j2k_levels, j2k_sample, jpeg_precision


@pytest.mark.parametrize("file_format", ["JPEG", "JPEG2000"])
@settings(deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_the_size_is_read(file_format: str, rows: int, columns: int) -> None:
    stream = BytesIO()
    Image.fromarray(np.zeros((rows, columns), np.uint8)).save(stream, file_format)
    assert declared_shape(stream.getvalue()) == (rows, columns, 1)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm"])
def test_real_frames_say_what_their_headers_say(name: str) -> None:
    dataset = dcmread(get_testdata_file(name))
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    assert declared_shape(frame) == (dataset.Rows, dataset.Columns, 1)


@pytest.mark.parametrize(
    ("name", "bits"), [("JPGExtended.dcm", 12), ("SC_rgb_jpeg_gdcm.dcm", 8), ("693_J2KI.dcm", None)]
)
def test_the_precision_of_a_jpeg(name: str, bits: int | None) -> None:
    dataset = dcmread(get_testdata_file(name))
    assert jpeg_precision(get_frame(dataset.PixelData, 0, number_of_frames=1)) == bits


def test_what_is_neither_is_not_blamed_on_one_of_them() -> None:
    assert fault(bytes(64)) == fault(b"") == "is no JPEG codestream of any kind"
    assert "JPEG 2000" not in fault(b"\xff\xd8" + bytes(64))


def test_the_samples_and_levels_of_a_jpeg_2000_frame() -> None:
    dataset = dcmread(get_testdata_file("MR_small_jp2klossless.dcm"))
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    assert j2k_sample(frame) == (16, True)
    assert j2k_levels(frame) == 5
    with pytest.raises(ValueError, match="codestream"):
        j2k_sample(b"no frame at all")


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"]))
def test_noise_is_survived(noise: bytes, start: bytes) -> None:
    declared_shape(start + noise)
    jpeg_precision(start + noise)
    assert 0 <= j2k_levels(start + noise) <= 32
    with suppress(ValueError):
        j2k_sample(start + noise)
