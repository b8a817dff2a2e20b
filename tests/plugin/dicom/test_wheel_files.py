"""Real objects that pydicom's wheel carries: each transfer syntax against its uncompressed sibling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from cbmir.dicom.frames import find_frames
from cbmir.dicom.header import describe
from cbmir.dicom.read import read_object
from cbmir.dicom.rendering import Rendering
from cbmir.errors import UnusableInput
from cbmir.types import FloatArray

FILES = Path(pydicom.__file__).parent / "data" / "test_files"

NOT_PICTURES = {
    "ExplVR_BigEndNoMeta.dcm": "no-pixels",
    "ExplVR_LitEndNoMeta.dcm": "no-pixels",
    "JPEG2000-embedded-sequence-delimiter.dcm": "broken-file",
    "MR_truncated.dcm": "broken-file",
    "UN_sequence.dcm": "no-pixels",
    "badVR.dcm": "broken-file",
    "empty_charset_LEI.dcm": "no-pixels",
    "meta_missing_tsyntax.dcm": "broken-file",
    "nested_priv_SQ.dcm": "broken-file",
    "no_meta.dcm": "not-a-picture",
    "no_meta_group_length.dcm": "no-pixels",
    "priv_SQ.dcm": "no-pixels",
    "reportsi.dcm": "no-pixels",
    "reportsi_with_empty_number_tags.dcm": "no-pixels",
    "rtplan.dcm": "no-pixels",
    "rtplan_truncated.dcm": "broken-file",
    "rtstruct.dcm": "no-pixels",
    "test-SR.dcm": "no-pixels",
}


def pictures(path: Path) -> list[FloatArray]:
    frames = find_frames(read_object(path.read_bytes(), path.name), path.name, max_pixels=10**7)
    return [shown.pixels / np.float32(255) for shown in frames.pictures(Rendering(side=2000), "spread", 4)]


@pytest.mark.parametrize("path", sorted(FILES.glob("*.dcm")), ids=lambda path: path.name)
def test_every_file_is_converted_or_says_why_not(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        found = pictures(path)
    except UnusableInput as error:
        assert error.code == NOT_PICTURES.get(path.name), error.sentence  # noqa: PT017 both outcomes are looked at
        assert path.name in error.reason  # noqa: PT017
    else:
        assert path.name not in NOT_PICTURES
        assert all(np.isfinite(each).all() and each.min() >= 0 and each.max() <= 1 for each in found)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
    ],
)
def test_lossless_siblings_give_the_same_picture(name: str) -> None:
    (reference,) = pictures(FILES / "MR_small.dcm")
    (found,) = pictures(FILES / name)
    assert np.array_equal(found, reference)
    assert reference.std() > 0.1


def test_twelve_bit_jpeg_is_decoded() -> None:
    (found,) = pictures(FILES / "JPGExtended.dcm")
    (reference,) = pictures(FILES / "JPEG2000.dcm")
    assert found.shape == (1024, 256)
    assert np.corrcoef(found.ravel(), reference.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_colour_bars(name: str) -> None:
    (found,) = pictures(FILES / name)
    bars = [found[row, 50] for row in (5, 25, 45)]
    for bar, colour in zip(bars, np.eye(3), strict=True):
        np.testing.assert_allclose(bar, colour, atol=0.02)


def test_the_header_of_a_real_file() -> None:
    found = describe(pydicom.dcmread(get_testdata_file("CT_small.dcm")), "ct")
    assert (found.modality, found.patient_key) == ("CT", "1CT1\\")
