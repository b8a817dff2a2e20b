"""Our pictures beside those of dcmtk, an independent implementation, at the same window: within one grey level."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from cbmir.dicom.frames import find_frames
from cbmir.dicom.read import read_object
from cbmir.dicom.rendering import Rendering

pytestmark = pytest.mark.skipif(
    not all(shutil.which(each) for each in ("dcmj2pnm", "dcml2pnm")), reason="needs dcmtk: run `make services`"
)

FILES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "CT_small.dcm": (("+Ww", "40", "400"), {"WindowCenter": "40", "WindowWidth": "400"}),
    "MR_small.dcm": (("+Wi", "1"), {}),
    "MR_small_bigendian.dcm": (("+Wi", "1"), {}),
    "MR_small_RLE.dcm": (("+Wi", "1"), {}),
    "MR_small_jpeg_ls_lossless.dcm": (("+Wi", "1"), {}),
    "JPGExtended.dcm": (("+Ww", "128", "256"), {"WindowCenter": "128", "WindowWidth": "256"}),
    "image_dfl.dcm": (("+Ww", "128", "256"), {}),
    "examples_overlay.dcm": (("+Wi", "1", "-O"), {}),
    "examples_palette.dcm": ((), {}),
    "examples_rgb_color.dcm": ((), {}),
    "examples_ybr_color.dcm": ((), {}),
    "ExplVR_BigEnd.dcm": ((), {}),
    "SC_rgb_small_odd.dcm": ((), {}),
    "SC_rgb_jpeg_dcmtk.dcm": ((), {}),
    "liver_1frame.dcm": (("+Ww", "1", "2"), {}),
    "rtdose_1frame.dcm": (
        ("+Ww", "1000000", "500000"),
        {"WindowCenter": "1000000", "WindowWidth": "500000"},
    ),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_one_grey_level_on_999_of_1000_pixels(name: str, tmp_path: Path) -> None:
    options, window = FILES[name]
    path = Path(get_testdata_file(name))
    found = read_object(path.read_bytes(), name)
    for keyword, value in window.items():
        setattr(found.dataset, keyword, value)
    shown = find_frames(found, name, max_pixels=10**7).picture(0, Rendering(side=10_000)).pixels
    tool = "dcml2pnm" if "jpeg_ls" in name else "dcmj2pnm"
    subprocess.run([tool, "+F", "1", *options, path, tmp_path / "theirs.pnm"], check=True, capture_output=True)
    with Image.open(tmp_path / "theirs.pnm") as theirs:
        apart = np.abs(shown.astype(int) - np.asarray(theirs))
    assert (apart <= 1).mean() >= 0.999
    assert shown.std() > 2
