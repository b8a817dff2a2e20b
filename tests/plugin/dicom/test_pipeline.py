"""The pipeline's version: pictures may not change without it, since features of two versions must not be mixed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from cbmir.dicom.rendering import VERSION, Rendering
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

PINNED = ("dicom-2d/15", "2d8a155b5a6835c0")
"""The version, and the digest of the pictures below. Whoever changes a picture raises the version (in
`cbmir.dicom.rendering`) and pins the new digest with it."""

FILES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_rle.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "liver_1frame.dcm",
    "rtdose.dcm",
    "waveform_ecg.dcm",
)
"""Native and lossless, so that no decoder's rounding is in them."""


def falling(first: int) -> Dataset:
    """An item of a Modality LUT Sequence, its first input written without a sign."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, first, 16])
    item.add_new("LUTData", "US", list(range(65535, -1, -16)))
    return item


def with_commas(data: bytes) -> bytes:
    """An object as a writer has it whose language puts a comma for the point of its decimals."""
    return data.replace(b"10.25", b"10,25").replace(b"200.5", b"200,5").replace(b"8.75", b"8,75")


def made(make_object: Any, encode: Any) -> list[bytes]:
    """What no file has: windows, commas, tables, padding, inversion, a far intercept, a shutter, oblong pixels, a
    large size."""
    ramp = np.arange(-2048, 2048, dtype=np.int16).reshape(64, 64)
    large = np.add.outer(np.arange(700), np.arange(900)).astype(np.uint16)
    return [
        encode(make_object(ramp, WindowCenter=40, WindowWidth=400, RescaleSlope=2, RescaleIntercept=-24)),
        encode(make_object(ramp, WindowCenter=40, WindowWidth=400, VOILUTFunction="LINEAR_EXACT")),
        encode(make_object(ramp, VOILUTFunction="sigmoid", WindowCenter=40, WindowWidth=400)),
        with_commas(
            encode(make_object(ramp, WindowCenter="10.25", WindowWidth="200.5", PixelSpacing=["8.75", "5"]))
        ),
        encode(make_object(ramp, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=-2048)),
        encode(make_object(ramp, PixelSpacing=[2, 1])),
        encode(make_object(ramp, ImagePlanePixelSpacing=[1, 2])),
        encode(make_object(ramp, PixelAspectRatio=["112", "100"])).replace(b"112\\100 ", b"1,2\\1,0 "),
        encode(
            make_object(ramp, ShutterShape="CIRCULAR", CenterOfCircularShutter=[30, 20], RadiusOfCircularShutter=16)
        ),
        encode(make_object(ramp, ModalityLUTSequence=[falling(0x10000 - 2048)])),
        encode(make_object(ramp, RescaleSlope=1, RescaleIntercept=10**8, WindowCenter=10**8, WindowWidth=400)),
        encode(make_object(large, Modality="PT")),
        encode(make_object(large, RescaleSlope="1e-4", RescaleIntercept=0, WindowCenter="0.1", WindowWidth="0.2")),
    ]


def test_pictures_change_with_the_version_only(make_object: Any, encode: Any) -> None:
    objects = [Path(get_testdata_file(name)).read_bytes() for name in FILES] + made(make_object, encode)
    digest = hashlib.sha256()
    for data in objects:
        for picture in convert(data, "x.dcm", Settings(), "").pictures:
            digest.update(repr(picture.pixels.shape).encode() + picture.pixels.tobytes())
    assert (VERSION, digest.hexdigest()[:16]) == PINNED


def test_every_choice_has_a_pipeline_of_its_own() -> None:
    choices = [
        Rendering(),
        Rendering(window="voi"),
        Rendering(window=(40.0, 400.0)),
        Rendering(window_number=2),
        Rendering(side=256),
        Rendering(crop="tissue"),
        Rendering(overlays=True),
        Rendering(waveform="spectrogram"),
    ]
    assert len({each.pipeline for each in choices}) == len(choices)
    assert Rendering().pipeline == Rendering().pipeline
    assert len(Rendering().pipeline) <= 64
