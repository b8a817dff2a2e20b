"""Frames decoded at less than their whole resolution: only where that shows, within a stated bound."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, HTJ2KLossless, JPEG2000Lossless

from cbmir.dicom import pixels as room
from cbmir.dicom.frames import Frames, find_frames
from cbmir.dicom.read import DicomObject, read_object
from cbmir.dicom.rendering import Rendering
from cbmir.pictures.scale import fit
from cbmir.types import ByteArray

SIDE = 128
MEAN, MOST = 1.0, 9
"""Grey levels of 255: the mean difference, and that of 99 pixels of 100."""


def drawn(signed: bool) -> Any:
    """A smooth picture of 1100 x 1024 pixels and 12 bits with sharp edges and noise."""
    rows, columns = np.mgrid[:1100, :1024]
    waves = 700 * np.sin(rows / 60) * np.cos(columns / 45) + 500 * ((rows // 150 + columns // 170) % 2)
    noisy = 1400 + waves + np.random.default_rng(0).normal(0, 20, rows.shape)
    return (noisy - 2048).astype(np.int16) if signed else noisy.astype(np.uint16)


def frames_of(dataset: Dataset) -> Frames:
    return find_frames(DicomObject.in_memory(dataset), "x.dcm", max_pixels=10**7)


def compressed(make_object: Any, syntax: str, signed: bool, **elements: Any) -> Frames:
    pixels = drawn(signed)
    center = -100 if signed else 1948
    window = {"WindowCenter": center, "WindowWidth": 3500, "BitsStored": 12, "HighBit": 11}
    dataset = make_object(pixels, **{**window, **elements})
    reversible = syntax != JPEG2000
    if syntax == HTJ2KLossless:
        frame = imagecodecs.htj2k_encode(pixels, reversible=True)
    else:
        frame = imagecodecs.jpeg2k_encode(
            pixels, codecformat="J2K", reversible=reversible, level=0 if reversible else 60
        )
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return frames_of(dataset)


def apart(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> Any:
    """How far the picture of fewer samples is from that of all, in grey levels; it must be of fewer."""
    shown = frames.picture(0, Rendering(side=SIDE))
    assert "of rows and columns" in shown.steps[0], shown.steps
    with monkeypatch.context() as patch:
        patch.setattr(room, "halvings", lambda *_: 0)
        whole = frames.picture(0, Rendering(side=SIDE))
    assert "of rows and columns" not in whole.steps[0]
    return np.abs(small(shown.pixels) - small(whole.pixels))


def small(pixels: ByteArray) -> Any:
    return fit(pixels, SIDE).astype(int)


@pytest.mark.parametrize(
    ("syntax", "signed"),
    [
        (JPEG2000Lossless, False),
        (JPEG2000Lossless, True),
        (JPEG2000, False),
        (JPEG2000, True),
        (HTJ2KLossless, False),
    ],
)
def test_the_picture_stays_within_the_bound(
    make_object: Any, monkeypatch: pytest.MonkeyPatch, syntax: str, signed: bool
) -> None:
    found = apart(compressed(make_object, syntax, signed), monkeypatch)
    assert found.mean() <= MEAN
    assert np.percentile(found, 99) <= MOST


@pytest.mark.parametrize(
    ("elements", "rendering"),
    [
        ({"PixelPaddingValue": 0}, Rendering(side=SIDE)),
        (
            {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [9, 9], "RadiusOfCircularShutter": 9},
            Rendering(side=SIDE),
        ),
        ({"WindowCenter": None, "WindowWidth": None}, Rendering(side=SIDE)),
        ({}, Rendering(side=SIDE, window="full")),
        ({}, Rendering(side=SIDE, crop="tissue")),
        ({}, Rendering(side=SIDE, overlays=True)),
        ({}, Rendering(side=512)),
    ],
)
def test_frames_are_decoded_whole_where_single_pixels_count(
    make_object: Any, elements: dict[str, Any], rendering: Rendering
) -> None:
    plain = {name: value for name, value in elements.items() if value is not None}
    frames = compressed(make_object, JPEG2000Lossless, False, **plain)
    for name in elements.keys() - plain.keys():
        delattr(frames.found.dataset, name)
    shown = frames.picture(0, rendering)
    assert "of rows and columns" not in shown.steps[0]
    assert shown.pixels.shape == (1100, 1024) or rendering.crop == "tissue"


@pytest.mark.shared
def test_real_pictures_stay_within_the_bound(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (shared / "dicom" / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        rows = [
            row for row in csv.DictReader(manifest) if row["transfer_syntax_uid"] in (JPEG2000, JPEG2000Lossless)
        ]
    compared = 0
    for row in rows:
        large = row["rows"].isdigit() and max(int(row["rows"]), int(row["cols"])) >= 8 * SIDE
        if row["expected"] != "yes" or not large or not row["path"].startswith("single/"):
            continue
        name = row["path"]
        frames = find_frames(read_object((shared / "dicom" / name).read_bytes(), name), name, max_pixels=10**8)
        if "of rows and columns" in frames.picture(0, Rendering(side=SIDE)).steps[0]:
            found = apart(frames, monkeypatch)
            assert found.mean() <= MEAN, name
            assert np.percentile(found, 99) <= MOST, name
            compared += 1
    assert compared >= 5
