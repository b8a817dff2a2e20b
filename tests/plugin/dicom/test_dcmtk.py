"""Our pictures beside those of dcmtk, an independent implementation, at the same window: within one grey level."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGLosslessSV1

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


PLAIN = Rendering(side=10_000)


@dataclass(frozen=True)
class Made:
    """An object made for one step of the way to the screen, and how both are told to show it.

    They may lie `most` levels apart.
    """

    pixels: npt.NDArray[Any]
    elements: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    rendering: Rendering = PLAIN
    overlays: tuple[dict[int, tuple[str, Any]], ...] = ()
    syntax: str = ExplicitVRLittleEndian
    most: int = 1


def ramp(low: int, high: int, dtype: str = "u2") -> npt.NDArray[Any]:
    """All values from low to high, evenly, row by row."""
    return np.linspace(low, high, 64 * 96).round().astype(dtype).reshape(64, 96)


def colours() -> npt.NDArray[np.uint8]:
    """Three samples that vary apart from each other, alike in each two neighbours."""
    rows, columns = np.mgrid[:64, :96]
    columns = columns // 2 * 2
    return np.stack([rows * 4, columns * 5 // 2, (rows + columns) * 3 // 2], -1).astype(np.uint8)


def table(first: int, bits: int, count: int = 1024) -> Sequence:
    """A modality or VOI LUT: a curve, falling behind its middle."""
    curve = np.sin(np.linspace(0, 2.5, count)) * (2**bits - 1)
    item = Dataset()
    item.LUTDescriptor = [count, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "US", curve.astype(int).tolist())
    return Sequence([item])


def plane(rows: int, columns: int, origin: tuple[int, int], bit: int = 0) -> dict[int, tuple[str, Any]]:
    """An overlay of diagonals, packed; embedded in a bit of the pixel cells where that is not 0."""
    bits = (np.add.outer(np.arange(rows), np.arange(columns)) % 7 == 0).astype(np.uint8)
    elements: dict[int, tuple[str, Any]] = {
        0x10: ("US", rows),
        0x11: ("US", columns),
        0x40: ("CS", "G"),
        0x50: ("SS", list(origin)),
        0x100: ("US", 16 if bit else 1),
        0x102: ("US", bit),
    }
    return elements if bit else elements | {0x3000: ("OW", np.packbits(bits, bitorder="little").tobytes())}


def palette(bits: int, first: int) -> dict[str, Any]:
    """A palette of 200 entries."""
    curves = [np.linspace(*ends, 200) for ends in ((0, 1), (1, 0), (0.2, 0.7))]
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, curve in zip(("Red", "Green", "Blue"), curves, strict=True):
        data = (curve * (2**bits - 1)).astype(np.uint16 if bits > 8 else np.uint8).tobytes()
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [200, first, bits]
        elements[f"{name}PaletteColorLookupTableData"] = data
    return elements


ROUNDED = 2
"""Levels: dcmtk rounds each term of YBR to RGB to an integer, and then adds them."""

TWELVE = {"BitsStored": 12, "HighBit": 11}
WINDOW = (2000.0, 3000.0)
WW = ("+Ww", "2000", "3000")
SHOWN = Rendering(side=10_000, window=WINDOW)
DRAWN = Rendering(side=10_000, window=WINDOW, overlays=True)

MADE = {
    "VOI LUT of 16 bits": Made(ramp(0, 4095), {**TWELVE, "VOILUTSequence": table(1500, 16)}, ("+Wl", "1")),
    "VOI LUT of 8 bits": Made(ramp(0, 4095), {**TWELVE, "VOILUTSequence": table(100, 8)}, ("+Wl", "1")),
    "VOI LUT from below 0, of values that are stored without a sign": Made(
        ramp(0, 2047),
        {"VOILUTSequence": table(-1000, 12), "RescaleSlope": 1, "RescaleIntercept": -1024},
        ("+Wl", "1"),
    ),
    "VOI LUT from below 0": Made(ramp(-900, 900, "i2"), {"VOILUTSequence": table(-500, 12)}, ("+Wl", "1")),
    "modality LUT": Made(
        ramp(0, 4095),
        {**TWELVE, "ModalityLUTSequence": table(300, 16)},
        ("+Ww", "30000", "50000"),
        Rendering(side=10_000, window=(30_000, 50_000)),
    ),
    "modality LUT from below 0, written without a sign": Made(
        ramp(-2048, 2047, "i2"),
        {**TWELVE, "ModalityLUTSequence": table(0x10000 - 1500, 16)},
        ("+Ww", "30000", "50000"),
        Rendering(side=10_000, window=(30_000, 50_000)),
    ),
    "second window": Made(
        ramp(0, 4095),
        {**TWELVE, "WindowCenter": [100, 2000], "WindowWidth": [50, 1500]},
        ("+Wi", "2"),
        Rendering(side=10_000, window_number=2),
    ),
    "sigmoid": Made(ramp(0, 4095), {**TWELVE, "VOILUTFunction": "SIGMOID"}, ("+Wfs", *WW), SHOWN),
    "window of width 1": Made(
        ramp(0, 4095), TWELVE, ("+Ww", "2000", "1"), Rendering(side=10_000, window=(2000, 1))
    ),
    "MONOCHROME1": Made(ramp(0, 4095), {**TWELVE, "PhotometricInterpretation": "MONOCHROME1"}, WW, SHOWN),
    "shape INVERSE": Made(ramp(0, 4095), {**TWELVE, "PresentationLUTShape": "INVERSE"}, WW, SHOWN),
    "falling rescale": Made(ramp(0, 4095), {**TWELVE, "RescaleSlope": -2, "RescaleIntercept": 6000}, WW, SHOWN),
    "signed, 12 bits without their sign above": Made(
        ramp(-2048, 2047, "i2") & 0x0FFF,
        {**TWELVE, "PixelRepresentation": 1, "RescaleIntercept": 2048, "RescaleSlope": 1},
        WW,
        SHOWN,
    ),
    "high bit 15 of 12 stored": Made(ramp(0, 4095) << 4, {"BitsStored": 12, "HighBit": 15}, WW, SHOWN),
    "signed bytes": Made(ramp(-128, 127, "i1"), {}, ("+Ww", "0", "200"), Rendering(side=10_000, window=(0, 200))),
    "32 bits": Made(ramp(0, 2**31, "u4"), {}, ("+Ww", "1e9", "1.5e9"), Rendering(side=10_000, window=(1e9, 1.5e9))),
    "overlay": Made(ramp(0, 4095), TWELVE, ("+O", "0", *WW), DRAWN, (plane(64, 96, (1, 1)),)),
    "overlays that stick out": Made(
        ramp(0, 4095), TWELVE, ("+O", "0", *WW), DRAWN, (plane(40, 200, (-5, 7)), plane(90, 31, (20, -9)))
    ),
    "embedded overlay": Made(
        ramp(0, 4095) | (ramp(0, 8191) % 2 << 13), TWELVE, ("+O", "0", *WW), DRAWN, (plane(64, 96, (1, 1), 13),)
    ),
    "embedded overlay left out": Made(
        ramp(0, 4095) | (ramp(0, 8191) % 2 << 13), TWELVE, ("-O", *WW), SHOWN, (plane(64, 96, (1, 1), 13),)
    ),
    "overlay, MONOCHROME1": Made(
        ramp(0, 4095),
        {**TWELVE, "PhotometricInterpretation": "MONOCHROME1"},
        ("+O", "0", *WW),
        DRAWN,
        (plane(64, 96, (1, 1)),),
    ),
    "YBR": Made(colours(), {"PhotometricInterpretation": "YBR_FULL"}, most=ROUNDED),
    "YBR 4:2:2": Made(colours(), {"PhotometricInterpretation": "YBR_FULL_422"}, most=ROUNDED),
    "partial YBR 4:2:2": Made(colours(), {"PhotometricInterpretation": "YBR_PARTIAL_422"}, most=ROUNDED),
    "planes of colour": Made(colours(), {"PlanarConfiguration": 1}),
    "palette of 8 bits": Made(ramp(0, 255, "u1"), palette(8, 20)),
    "palette of 16 bits": Made(ramp(0, 700), palette(16, 300)),
    "big-endian": Made(ramp(0, 4095), TWELVE, WW, SHOWN, (), ExplicitVRBigEndian),
}


def arranged(pixels: npt.NDArray[Any], elements: dict[str, Any]) -> bytes | None:
    """Pixel Data of colours that do not lie pixel by pixel."""
    if elements.get("PlanarConfiguration"):
        return np.moveaxis(pixels, -1, 0).tobytes()
    if str(elements.get("PhotometricInterpretation")).endswith("422"):
        one, other = pixels[:, ::2], pixels[:, 1::2]
        return np.stack([one[..., 0], other[..., 0], one[..., 1], one[..., 2]], -1).tobytes()
    return None


@pytest.mark.parametrize("name", MADE)
def test_each_step_is_theirs(
    name: str, make_object: Callable[..., Dataset], encode: Callable[[Dataset], bytes], tmp_path: Path
) -> None:
    made = MADE[name]
    dataset = make_object(made.pixels, made.syntax, **made.elements)
    dataset.PixelData = arranged(made.pixels, made.elements) or dataset.PixelData
    for number, overlay in enumerate(made.overlays):
        for element, (vr, value) in overlay.items():
            dataset.add_new((0x6000 + 2 * number, element), vr, value)
    path = tmp_path / "made.dcm"
    path.write_bytes(encode(dataset))
    frames = find_frames(read_object(path.read_bytes(), name), name, max_pixels=10**7)
    ours = frames.picture(0, made.rendering).pixels
    subprocess.run(["dcmj2pnm", *made.options, path, tmp_path / "theirs.pnm"], check=True, capture_output=True)
    with Image.open(tmp_path / "theirs.pnm") as theirs:
        apart = np.abs(ours.astype(int) - np.asarray(theirs))
    assert (apart <= made.most).mean() >= 0.999, f"up to {apart.max()}, {(apart <= made.most).mean():.2%} close"
    assert ours.std() > 20
    if made.rendering.overlays:
        assert (ours != frames.picture(0, SHOWN).pixels).mean() > 0.03


@pytest.mark.parametrize(
    ("dtype", "low", "vr", "first"),
    [
        ("i2", -150, "SS", -100),
        ("i2", -150, "US", 65_436),
        ("u2", 40_000, "US", 40_050),
        ("u2", 40_000, "SS", -25_486),
    ],
)
def test_pixel_representation_gives_the_first_value_of_a_palette_its_sign(
    dtype: str,
    low: int,
    vr: str,
    first: int,
    make_object: Callable[..., Dataset],
    encode: Callable[[Dataset], bytes],
    tmp_path: Path,
) -> None:
    """PS3.3 C.7.6.3.1.5: not the value representation that the descriptor was given."""
    dataset = make_object(ramp(low, low + 300, dtype), **palette(16, 0))
    for number in (0x1101, 0x1102, 0x1103):
        dataset.add_new((0x0028, number), vr, [200, first, 16])
    path = tmp_path / "made.dcm"
    path.write_bytes(encode(dataset))
    ours = find_frames(read_object(path.read_bytes(), "x"), "x", max_pixels=10**7).picture(0, PLAIN).pixels
    subprocess.run(["dcmj2pnm", path, tmp_path / "theirs.pnm"], check=True, capture_output=True)
    with Image.open(tmp_path / "theirs.pnm") as theirs:
        assert np.abs(ours.astype(int) - np.asarray(theirs)).max() <= 1
    assert ours.std() > 20


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_colours_of_lossless_jpeg_are_theirs(
    photometric: str, make_object: Callable[..., Dataset], encode: Callable[[Dataset], bytes], tmp_path: Path
) -> None:
    dataset = make_object(colours(), PhotometricInterpretation=photometric)
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    frame = imagecodecs.jpeg8_encode(colours(), lossless=True, colorspace="RGB", outcolorspace="RGB")
    dataset.PixelData = encapsulate([bytes(frame) + b"\0" * (len(frame) % 2)])
    dataset["PixelData"].VR = "OB"
    path = tmp_path / "made.dcm"
    path.write_bytes(encode(dataset))
    ours = find_frames(read_object(path.read_bytes(), "x"), "x", max_pixels=10**7).picture(0, PLAIN).pixels
    subprocess.run(["dcmj2pnm", path, tmp_path / "theirs.pnm"], check=True, capture_output=True)
    with Image.open(tmp_path / "theirs.pnm") as theirs:
        assert np.abs(ours.astype(int) - np.asarray(theirs)).max() <= ROUNDED
