"""JPEG frames whose decoder gives means of pixels: only where that shows, within a stated bound."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from cbmir.dicom import pixels as room
from cbmir.dicom.frames import WHOLE, find_frames
from cbmir.dicom.read import DicomObject, read_object
from cbmir.dicom.rendering import Rendering
from cbmir.pictures.scale import fit
from cbmir.types import ByteArray

SIDE = 128
MOST = 15
"""Grey levels of 255 that no pixel of any picture that we know is further off."""


def drawn() -> ByteArray:
    """A smooth picture of 1024 x 512 pixels with sharp edges and noise, neither black nor white anywhere."""
    rows, columns = np.mgrid[:1024, :512]
    waves = 50 * np.sin(rows / 60) * np.cos(columns / 45) + 40 * ((rows // 150 + columns // 170) % 2)
    return np.clip(110 + waves + np.random.default_rng(0).normal(0, 4, rows.shape), 20, 235).astype(np.uint8)


def compressed(make_object: Any, pixels: ByteArray, quality: int = 90, cut: int = 0, **elements: Any) -> Any:
    dataset = make_object(pixels, **elements)
    frame = imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), level=quality)
    dataset.PixelData = encapsulate([frame[: len(frame) - cut]])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return find_frames(DicomObject.in_memory(dataset), "x.dcm", max_pixels=10**8)


def both(frames: Any, monkeypatch: pytest.MonkeyPatch, side: int = SIDE) -> tuple[Any, Any, str]:
    """The picture as it is made, that of all pixels, and how the first was decoded."""
    made = frames.picture(0, Rendering(side=side))
    with monkeypatch.context() as patch:
        patch.setattr(room, "halvings", lambda *_: 0)
        whole = frames.picture(0, Rendering(side=side))
    assert "of rows and columns" not in whole.steps[0]
    return fit(made.pixels, side).astype(int), fit(whole.pixels, side).astype(int), made.steps[0]


@pytest.mark.parametrize(("side", "part"), [(512, 2), (256, 4), (128, 8), (64, 8)])
def test_the_picture_is_that_of_all_pixels_but_for_rounding(
    make_object: Any, monkeypatch: pytest.MonkeyPatch, side: int, part: int
) -> None:
    made, whole, said = both(compressed(make_object, drawn()), monkeypatch, side)
    assert said == f"decoded: libjpeg-turbo, at 1/{part} of rows and columns"
    assert made.shape == (side, side // 2)
    assert np.abs(made - whole).max() <= 1


def test_a_window_that_leaves_bytes_as_they_are_is_none(make_object: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = compressed(make_object, drawn(), WindowCenter=128, WindowWidth=256)
    assert "of rows and columns" in both(frames, monkeypatch)[2]


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 100, "WindowWidth": 50},
        {"RescaleSlope": 2, "RescaleIntercept": 0},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"PixelPaddingValue": 30},
        {"BitsStored": 7, "HighBit": 6},
        {"PixelRepresentation": 1},
        {"PixelSpacing": [2, 1]},
    ],
)
def test_frames_are_decoded_whole_where_values_change(
    make_object: Any, monkeypatch: pytest.MonkeyPatch, elements: dict[str, Any]
) -> None:
    made, whole, said = both(compressed(make_object, drawn(), **elements), monkeypatch)
    assert "of rows and columns" not in said
    assert np.array_equal(made, whole)


@pytest.mark.parametrize(
    "rendering",
    [
        Rendering(side=SIDE, window="full"),
        Rendering(side=SIDE, window=(100.0, 90.0)),
        Rendering(side=SIDE, crop="tissue"),
        Rendering(side=SIDE, overlays=True),
        Rendering(side=100),
        Rendering(side=1000),
        Rendering(side=1024),
    ],
)
def test_frames_are_decoded_whole_where_single_pixels_count(make_object: Any, rendering: Rendering) -> None:
    shown = compressed(make_object, drawn()).picture(0, rendering)
    assert "of rows and columns" not in shown.steps[0]


def test_sides_must_be_whole_multiples(make_object: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, whole, said = both(compressed(make_object, drawn()[:, :509]), monkeypatch)
    assert "of rows and columns" not in said
    assert np.array_equal(made, whole)


def test_twelve_bits_are_decoded_whole(make_object: Any) -> None:
    pixels = drawn().astype(np.uint16) * 16
    dataset = make_object(pixels, BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=4096)
    dataset.PixelData = encapsulate([imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12)])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    frames = find_frames(DicomObject.in_memory(dataset), "x.dcm", max_pixels=10**8)
    assert frames.picture(0, Rendering(side=SIDE)).steps[0] == "decoded: libjpeg-turbo"


def test_a_frame_that_is_cut_short_is_decoded_as_far_as_it_goes(
    make_object: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, whole, said = both(compressed(make_object, drawn(), cut=9000), monkeypatch)
    assert said == "decoded: libjpeg-turbo"
    assert np.array_equal(made, whole)


def real_pictures(folder: Path) -> list[ByteArray]:
    """Grey pictures of at least 256 pixels a side, one of each single file."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        rows = [row for row in csv.DictReader(manifest) if row["path"].startswith("single/")]
    found = []
    for row in rows:
        if row["expected"] != "yes" or not row["rows"].isdigit() or max(int(row["rows"]), int(row["cols"])) < 256:
            continue
        frames = find_frames(read_object((folder / row["path"]).read_bytes(), row["path"]), "x", max_pixels=10**8)
        pixels = frames.picture(0, Rendering(side=WHOLE)).pixels
        if pixels.ndim == 2:
            found.append(pixels)
    return found


@pytest.mark.shared
@pytest.mark.parametrize(("quality", "within"), [(75, 4), (90, 2)])
def test_real_pictures_stay_within_the_bound(
    shared: Path, make_object: Any, monkeypatch: pytest.MonkeyPatch, quality: int, within: int
) -> None:
    apart = []
    for pixels in real_pictures(shared / "dicom"):
        frames = compressed(make_object, pixels, quality)
        for factor in (2, 4, 8):
            if not any(side % factor for side in pixels.shape):
                made, whole, said = both(frames, monkeypatch, max(pixels.shape) // factor)
                assert f"at 1/{factor} of" in said
                apart.append(np.abs(made - whole).ravel())
    pooled = np.concatenate(apart)
    assert len(apart) >= 50
    assert np.percentile(pooled, 99) <= 1
    assert np.percentile(pooled, 99.9) <= within
    assert pooled.max() <= MOST
