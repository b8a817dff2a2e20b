"""Colours: samples by pixel and by plane, YBR, and palettes of every build."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit

from cbmir.dicom.codestream import marked_colours
from cbmir.dicom.frames import find_frames
from cbmir.dicom.palette import expand
from cbmir.dicom.read import DicomObject
from cbmir.dicom.rendering import Rendering
from cbmir.errors import BrokenFile

HALF = 0.501 / 255
"""Pictures have 256 levels: half of one is the rounding."""

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def to_ybr(rgb: Any) -> Any:
    """ITU-T T.871 7, 8 bits."""
    red, green, blue = (rgb[..., each].astype(float) for each in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = (128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402)
    return np.clip(np.rint(np.stack([luma, *chroma], axis=-1)), 0, 255).astype(np.uint8)


def test_rgb_by_pixel_and_by_plane(show: Any) -> None:
    np.testing.assert_allclose(show(RGB), RGB / 255, atol=HALF)
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1)).tobytes()
    np.testing.assert_allclose(show(RGB, PixelData=planes, PlanarConfiguration=1), RGB / 255, atol=HALF)


def test_rgb_of_sixteen_bits(show: Any) -> None:
    np.testing.assert_allclose(show(RGB.astype(np.uint16) * 257), RGB / 255, atol=HALF)


@pytest.mark.parametrize("deep", [False, True])
def test_ybr_full(show: Any, deep: bool) -> None:
    stored = to_ybr(RGB).astype(np.uint16) * 257 if deep else to_ybr(RGB)
    shown = show(stored, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(shown, RGB / 255, atol=3 / 255)


def test_ybr_full_422(show: Any) -> None:
    smooth = np.repeat(RGB[:, ::2], 2, axis=1)
    ybr = to_ybr(smooth)
    pairs = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], axis=-1)
    shown = show(ybr, PixelData=pairs.tobytes(), PhotometricInterpretation="YBR_FULL_422")
    np.testing.assert_allclose(shown, smooth / 255, atol=2 / 255)


@pytest.mark.parametrize("rows", [4, 5])
@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
def test_an_odd_number_of_columns_makes_no_pairs(show: Any, rows: int, photometric: str) -> None:
    pixels = np.zeros((rows, 7, 3), np.uint8)
    for length in (rows * 7 * 2, rows * 8 * 2):
        with pytest.raises(BrokenFile, match=f"7 columns, which {photometric}"):
            show(pixels, PixelData=bytes(length), PhotometricInterpretation=photometric)


def test_ybr_that_says_422_and_is_not(show: Any) -> None:
    shown = show(to_ybr(RGB), PhotometricInterpretation="YBR_FULL_422")
    np.testing.assert_allclose(shown, RGB / 255, atol=2 / 255)


@pytest.mark.parametrize(
    ("photometric", "step"),
    [
        ("RGB", None),
        ("YBR_FULL", "YBR_FULL to RGB"),
        ("YBR_ICT", "YBR_ICT taken as RGB"),
        ("YBR_RCT", "YBR_RCT taken as RGB"),
        ("XYB", "XYB taken as RGB"),
    ],
)
def test_the_steps_say_whether_uncompressed_colours_were_converted(
    make_object: Any, photometric: str, step: str | None
) -> None:
    said = steps(make_object(RGB, PhotometricInterpretation=photometric))
    assert said == ["decoded: uncompressed", *([step] if step else [])]


@pytest.mark.parametrize(
    ("transformed", "reversible", "own"),
    [(True, True, "YBR_RCT"), (True, False, "YBR_ICT"), (False, True, "RGB"), (False, False, "RGB")],
)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_ICT", "YBR_RCT"])
def test_the_steps_say_what_a_decoder_converted(
    make_object: Any, photometric: str, transformed: bool, reversible: bool, own: str
) -> None:
    """By the codestream: the header's word for it may be another's."""
    dataset = make_object(RGB, JPEG2000, PhotometricInterpretation=photometric)
    frame = imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="J2K", mct=transformed, reversible=reversible)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    marked = [f"colours as the frame marks them: {own}"] if own != photometric else []
    converted = [f"{own} to RGB"] if transformed else []
    assert steps(dataset) == ["decoded: openjpeg", *marked, *converted]


def steps(dataset: Dataset) -> list[str]:
    frames = find_frames(DicomObject.in_memory(dataset), "x.dcm", max_pixels=10**6)
    return list(frames.picture(0, Rendering()).steps)


def jpeg(rgb: Any, inside: str, **how: Any) -> bytes:
    """A JPEG frame whose samples are RGB or YCBCR inside."""
    return bytes(imagecodecs.jpeg8_encode(rgb, level=95, colorspace="RGB", outcolorspace=inside, **how))


@pytest.mark.parametrize(("inside", "header"), [("YCBCR", "RGB"), ("RGB", "YBR_FULL_422"), ("RGB", "RGB")])
def test_a_jpeg_frame_knows_its_colours_better_than_the_header(show: Any, inside: str, header: str) -> None:
    rgb = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    frame = jpeg(rgb, inside)
    assert marked_colours(frame) == {"YCBCR": "YBR_FULL", "RGB": "RGB"}[inside]
    pixels = {"PixelData": encapsulate([frame]), "PhotometricInterpretation": header}
    np.testing.assert_allclose(show(rgb, JPEGBaseline8Bit, **pixels), rgb / 255, atol=4 / 255)


def without_jfif(frame: bytes) -> bytes:
    at = frame.index(b"\xff\xe0")
    return frame[:at] + frame[at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big") :]


def test_a_jpeg_frame_without_marks_has_the_headers_colours(show: Any) -> None:
    rgb = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    bare = without_jfif(jpeg(rgb, "YCBCR", subsampling="444"))
    assert marked_colours(bare) == ""
    shown = show(rgb, JPEGBaseline8Bit, PixelData=encapsulate([bare]), PhotometricInterpretation="YBR_FULL_422")
    np.testing.assert_allclose(shown, rgb / 255, atol=4 / 255)
    shown = show(rgb, JPEGBaseline8Bit, PixelData=encapsulate([bare]), PhotometricInterpretation="RGB")
    np.testing.assert_allclose(shown, to_ybr(rgb) / 255, atol=4 / 255)


@pytest.mark.parametrize("subsampling", ["422", "420", "440", "411"])
@pytest.mark.parametrize("header", ["RGB", "YBR_FULL_422"])
def test_samples_sparser_than_others_are_chrominance(show: Any, header: str, subsampling: str) -> None:
    """Of RGB nobody leaves out green and blue."""
    rgb = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    bare = without_jfif(jpeg(rgb, "YCBCR", subsampling=subsampling))
    assert marked_colours(bare) == "YBR_FULL"
    shown = show(rgb, JPEGBaseline8Bit, PixelData=encapsulate([bare]), PhotometricInterpretation=header)
    np.testing.assert_allclose(shown, rgb / 255, atol=4 / 255)


def palette(bits: int, tables: Any, first: int = 0, **more: Any) -> dict[str, Any]:
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR", **more}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [len(table), first, bits]
        elements[f"{name}PaletteColorLookupTableData"] = np.asarray(table).tobytes()
    return elements


COLOURS = np.random.default_rng(1).integers(0, 256, (3, 16))
INDICES = np.arange(16, dtype=np.uint8).reshape(4, 4)


@pytest.mark.parametrize(
    ("bits", "dtype", "scale"), [(16, "<u2", 257), (8, "u1", 1), (16, "<u2", 1), (8, "<u2", 1)]
)
def test_palettes_of_eight_and_sixteen_bits(show: Any, bits: int, dtype: str, scale: int) -> None:
    shown = show(INDICES, **palette(bits, (COLOURS * scale).astype(dtype)))
    np.testing.assert_allclose(shown.reshape(16, 3), COLOURS.T / 255, atol=HALF)


@pytest.mark.parametrize(("photometric", "ignored"), [("MONOCHROME2", True), ("PALETTE COLOR", False)])
def test_a_supplemental_palette_leaves_the_picture_grey_and_is_told_of(
    make_object: Any, photometric: str, ignored: bool
) -> None:
    """PS3.3 C.7.6.19: such an object may be displayed in grey; of its values from `first` on some are colours."""
    supplemental = palette(16, (COLOURS * 257).astype("<u2"), first=8, PixelPresentation="COLOR")
    dataset = make_object(INDICES, **{**supplemental, "PhotometricInterpretation": photometric})
    found = find_frames(DicomObject.in_memory(dataset), "a", max_pixels=100).picture(0, Rendering())
    assert ("supplemental palette ignored: shown as grey" in found.steps) == ignored
    assert found.pixels.ndim == (2 if ignored else 3)
    if ignored:
        np.testing.assert_array_equal(found.pixels, INDICES)


def test_a_big_endian_palette(show: Any) -> None:
    words = (COLOURS * 257).astype(">u2")
    shown = show(INDICES.astype(np.uint16), ExplicitVRBigEndian, **palette(16, words))
    np.testing.assert_allclose(shown.reshape(16, 3), COLOURS.T / 255, atol=HALF)


def test_values_outside_a_palette_take_its_ends(show: Any) -> None:
    values = np.array([[0, 9, 10, 25, 26, 60000]], np.uint16)
    shown = show(values, **palette(16, (COLOURS * 257).astype("<u2"), first=10))
    np.testing.assert_allclose(shown[0], COLOURS.T[[0, 0, 0, 15, 15, 15]] / 255, atol=HALF)


def test_a_segmented_palette(show: Any) -> None:
    # discrete 3 entries, linear to 1000 in 4 steps, then both once more
    words = [0, 3, 10, 20, 30, 1, 4, 1000, 2, 2, 0, 0]
    entries = [10, 20, 30, 272, 515, 758, 1000]
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [14, 0, 16]
        elements[f"Segmented{name}PaletteColorLookupTableData"] = np.array(words, "<u2").tobytes()
    shown = show(np.arange(14, dtype=np.uint8).reshape(2, 7), **elements)
    np.testing.assert_allclose(shown[0, :, 0] * 65535, entries, atol=129)
    np.testing.assert_allclose(shown[1], shown[0], atol=HALF)


@pytest.mark.parametrize("segments", [[2, 9, 0, 0], [1, 3, 7], [0, 200, 1], [7, 7, 7], [0], [2, 65535, 2, 0, 0, 0]])
@pytest.mark.parametrize("wide", [True, False])
def test_senseless_segments_end_the_table(segments: list[int], wide: bool) -> None:
    assert len(expand(segments, wide=wide)) <= 0x10000


def test_segments_that_multiply_stay_within_bounds() -> None:
    bomb = [0, 1, 5, 1, 65535, 9] + [2, 65535, 0, 0] * 1000
    assert len(expand(bomb, wide=True)) == 0x10000


def test_a_palette_that_is_missing_or_uneven_is_broken(show: Any) -> None:
    with pytest.raises(BrokenFile, match="describes no palette"):
        show(INDICES, PhotometricInterpretation="PALETTE COLOR")
    elements = palette(16, (COLOURS * 257).astype("<u2"))
    del elements["GreenPaletteColorLookupTableData"]
    with pytest.raises(BrokenFile, match="tables are missing"):
        show(INDICES, ExplicitVRLittleEndian, **elements)
