"""Our pictures beside those that a real Orthanc renders of the same objects, at the same window: within one level.

Orthanc maps center - width / 2 to 0 and center + width / 2 to 256, and cuts off what is behind the point: its
window is LINEAR_EXACT but for that (PS3.3 C.11.2.1.3.2), whatever the object says; so ours is told to be it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from cbmir.dicom.frames import find_frames
from cbmir.dicom.modality import rescale
from cbmir.dicom.read import read_object
from cbmir.dicom.rendering import Rendering
from cbmir.types import ByteArray

PROGRAM = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(PROGRAM is None, reason="needs Orthanc: run `make services`"),
]

SECONDS = 30
"""Orthanc may take to start, to answer and to end."""

Window = tuple[float, float]

GREY: dict[str, Window] = {
    "constructed/oct_secondary_capture.dcm": (66, 132),
    "constructed/opt_oct_multiframe.dcm": (71, 142),
    "constructed/opt_oct_multiframe_rle.dcm": (71, 142),
    "series/ct_ge_hispeed_head/01.dcm": (35, 100),
    "series/ct_philips_ingenuity_phantom/I10.dcm": (40, 80),
    "series/ct_philips_ingenuity_phantom_sc/I10.dcm": (-670.8, 2061.6),
    "series/mr_canon_galan_dti/0001.dcm": (1208.5, 2417),
    "series/mr_ge_mr750_epi/axial_epi_fmri_interleaved_i_to_s-00001.dcm": (2851, 5702),
    "series/mr_philips_achieva_dti/0017.dcm": (221, 384),
    "series/mr_siemens_skyra_phantom_mosaic/epi_pe_ap-00001.dcm": (560, 1179),
    "single/ImagingDataCommons+highdicom__dx_image.dcm": (128, 256),
    "single/ImagingDataCommons+highdicom__seg_image_cr_binary.dcm": (0.5, 2),
    "single/ImagingDataCommons+highdicom__seg_image_ct_binary.dcm": (0.5, 2),
    "single/ImagingDataCommons+highdicom__seg_image_ct_binary_fractional.dcm": (128, 255),
    "single/ImagingDataCommons+highdicom__seg_image_sm_control_labelmap.dcm": (4, 9),
    "single/pydicom+pydicom__15820.dcm": (243, 798),
    "single/pydicom+pydicom__17106.dcm": (30, 100),
    "single/pydicom+pydicom__6247.dcm": (1600, 2800),
    "single/pydicom+pydicom__JPGExtended.dcm": (46, 92),
    "single/pydicom+pydicom__MR_small_RLE.dcm": (600, 1600),
    "single/pydicom+pydicom__MR_small_bigendian.dcm": (600, 1600),
    "single/pydicom+pydicom__MR_small_implicit.dcm": (600, 1600),
    "single/pydicom+pydicom__MR_small_jpeg_ls_lossless.dcm": (600, 1600),
    "single/pydicom+pydicom__examples_overlay.dcm": (450, 790),
    "single/pydicom+pydicom__image_dfl.dcm": (128, 255),
    "single/pydicom+pydicom__liver_expb_1frame.dcm": (0.5, 2),
    "single/pydicom+pylibjpeg-data__CT1_JLSN.dcm": (-307, 1440),
    "single/pydicom+pylibjpeg-data__JPEG-LL.dcm": (46, 92),
    "single/pydicom+pylibjpeg-data__JPEGBaseline_1s_1f_u_08_08.dcm": (128, 255),
    "single/pydicom+pylibjpeg-data__JPEGLossless_1s_1f_i_16_16_bad.dcm": (550, 2000),
    "single/pydicom+pylibjpeg-data__RG2_JLSN.dcm": (511, 1024),
    "single/pydicom+pylibjpeg-data__RG2_JPLY_fixed.dcm": (511, 1024),
    "single/pydicom+pylibjpeg-data__emri_small_RLE.dcm": (177, 340),
    "single/robyoung+dicom-test-files__CT2_JPLL.dcm": (35, 80),
    "single/robyoung+dicom-test-files__MR3_RLE.dcm": (500, 1200),
    "single/robyoung+dicom-test-files__MR4_JLSL.dcm": (-927, 2265),
    "single/robyoung+dicom-test-files__RG3_JPLL.dcm": (550, 1024),
    "single/robyoung+dicom-test-files__XA1_RLE.dcm": (158, 316),
    "single/robyoung+dicom-test-files__bad_sequence.dcm": (40, 350),
    "single/robyoung+dicom-test-files__eCT_Supplemental.dcm": (49, 102),
    "single/robyoung+dicom-test-files__emri_small_big_endian.dcm": (177, 340),
    "single/wearemothership+dicom-test-files__BRFSMPRS.dcm": (108, 216),
    "single/wearemothership+dicom-test-files__BRTUMMM1.dcm": (530, 1296),
}
"""Grey objects and a window for each, in the modality's unit.

Not among them is what Orthanc does not render (floats, 32 bits, JPEG 2000 without a plug-in) or take (objects
without Study Instance UID), and what it reads wrongly: signed values of fewer bits than their cells whose sign is
not repeated above (mlut_18: it shows -2048 as 2048)."""

COLOUR = (
    "constructed/eeg_plot_secondary_capture_rgb.dcm",
    "single/ImagingDataCommons+highdicom__sm_image_control.dcm",
    "single/ImagingDataCommons+highdicom__sm_image_jpegls.dcm",
    "single/pydicom+pydicom__ExplVR_BigEnd.dcm",
    "single/pydicom+pydicom__SC_rgb_dcmtk_+eb+cr.dcm",
    "single/pydicom+pydicom__SC_rgb_dcmtk_+eb+cy+np.dcm",
    "single/pydicom+pydicom__SC_rgb_rle.dcm",
    "single/pydicom+pydicom__SC_rgb_small_odd.dcm",
    "single/pydicom+pydicom__examples_palette.dcm",
    "single/pydicom+pydicom__examples_rgb_color.dcm",
    "single/pydicom+pydicom__examples_ybr_color.dcm",
    "single/pydicom+pylibjpeg-data__JPEGExtended_3s_1f_u_08_08.dcm",
    "single/pydicom+pylibjpeg-data__OBXXXX1A_rle.dcm",
    "single/robyoung+dicom-test-files__SC_rgb_expb.dcm",
    "single/robyoung+dicom-test-files__US1_RLE.dcm",
    "single/robyoung+dicom-test-files__VL3_RLE.dcm",
    "single/robyoung+dicom-test-files__color-pl.dcm",
)
"""Colour objects."""


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an Orthanc of this module's own: on the loopback, without DICOM network or passwords."""
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "OverwriteInstances": True,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([str(PROGRAM), str(folder / "orthanc.json")], stdout=log, stderr=log) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(SECONDS)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            urlopen(f"{url}/system", timeout=SECONDS).close()
            return
        except OSError:
            assert server.poll() is None, "Orthanc ends by itself"
            assert time.monotonic() < deadline, "Orthanc does not start"
            time.sleep(0.1)


def sent(url: str, data: bytes) -> str:
    """Hand an object in; its URL."""
    with urlopen(Request(f"{url}/instances", data=data), timeout=SECONDS) as answer:
        return f"{url}/instances/{json.load(answer)['ID']}"


def rendered(instance: str, index: int, window: Window | None) -> ByteArray:
    asked = f"?window-center={window[0]}&window-width={window[1]}" if window else ""
    request = Request(f"{instance}/frames/{index}/rendered{asked}", headers={"Accept": "image/png"})
    with urlopen(request, timeout=SECONDS) as answer, Image.open(BytesIO(answer.read())) as image:
        return np.asarray(image)


def made_like_theirs(dataset: Dataset) -> None:
    """Take away what Orthanc ignores, or names otherwise: padding, the modality LUT, the VOI LUT function."""
    for keyword in ("PixelPaddingValue", "ModalityLUTSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)
    groups = [
        *dataset.get("SharedFunctionalGroupsSequence", []),
        *dataset.get("PerFrameFunctionalGroupsSequence", []),
    ]
    described = [item for group in groups for item in group.get("FrameVOILUTSequence", [])]
    for each in (dataset, *described):
        each.VOILUTFunction = "LINEAR_EXACT"


def their_window(window: Window, dataset: Dataset, index: int) -> Window:
    """The same window for Orthanc: a bit is 255 to it, and it knows no rescaling by functional groups."""
    center, width = window
    if dataset.BitsAllocated == 1:
        return center * 255, width * 255
    if "SharedFunctionalGroupsSequence" in dataset:
        slope, intercept = rescale(dataset, index)
        return (center - intercept) / slope, width / slope
    return window


def test_one_grey_level_on_999_of_1000_pixels(shared: Path, orthanc: str) -> None:
    wrong, lively = [], 0
    for name in (*GREY, *COLOUR):
        data = (shared / "dicom" / name).read_bytes()
        frames = find_frames(read_object(data, name), name, max_pixels=10**8)
        dataset, window, instance = frames.found.dataset, GREY.get(name), sent(orthanc, data)
        made_like_theirs(dataset)
        for index in sorted({0, frames.count // 2, frames.count - 1}):
            ours = frames.picture(index, Rendering(side=100_000, window=window or "auto")).pixels
            theirs = rendered(instance, index, their_window(window, dataset, index) if window else None)
            assert ours.shape == theirs.shape, name
            lively += ours.std() > 2
            close = (np.abs(ours.astype(int) - theirs) <= 1).mean()
            wrong += [(name, index, close)] if close < 0.999 else []
    assert wrong == []
    assert lively >= 75
