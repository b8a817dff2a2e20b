"""The grey scale, against the formulas of the standard written out value by value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cbmir.dicom.rendering import Rendering

RAMP = np.arange(-2048, 2048, dtype=np.int16).reshape(64, 64)
HALF = 0.501 / 255
"""Pictures have 256 levels: half of one is the rounding."""

quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def linear(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, with 0 and 1 as the output's limits."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0.0
    if x > center - 0.5 + (width - 1) / 2:
        return 1.0
    return (x - (center - 0.5)) / (width - 1) + 0.5


def linear_exact(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= center - width / 2:
        return 0.0
    return 1.0 if x > center + width / 2 else (x - center) / width + 0.5


def sigmoid(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    return 1 / (1 + math.exp(min(-4 * (x - center) / width, 700)))


FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


@quick
@given(center=st.integers(-1500, 1500), width=st.integers(1, 4000), name=st.sampled_from(sorted(FUNCTIONS)))
def test_windows_follow_the_standard(show: Any, center: int, width: int, name: str) -> None:
    shown = show(RAMP, WindowCenter=center, WindowWidth=width, VOILUTFunction=name)
    expected = [FUNCTIONS[name](float(x), center, width) for x in RAMP.ravel()]
    np.testing.assert_allclose(shown.ravel(), expected, atol=HALF)


def test_linear_is_the_default_and_the_first_window_counts(show: Any) -> None:
    shown = show(RAMP, WindowCenter=[100, 500], WindowWidth=[301, 20])
    np.testing.assert_allclose(shown, np.vectorize(linear)(RAMP, 100, 301), atol=HALF)


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_without_width_is_ignored(show: Any, width: int) -> None:
    assert np.array_equal(show(RAMP, WindowCenter=0, WindowWidth=width), show(RAMP))


@pytest.mark.parametrize(("center", "width"), [("0.1", "0.2"), ("0.25", "0.999"), ("0.05", "1e-2")])
def test_a_window_too_narrow_for_whole_values_is_exact(show: Any, center: str, width: str) -> None:
    doses = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    shown = show(doses, RescaleSlope="1e-4", RescaleIntercept=0, WindowCenter=center, WindowWidth=width)
    expected = np.vectorize(linear_exact)(doses * 1e-4, float(center), float(width))
    np.testing.assert_allclose(shown, expected, atol=HALF)


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_a_window_of_one_shows_the_fractions_of_floating_pixels(
    make_object: Any, encode: Any, convert_all: Any, keyword: str, dtype: str
) -> None:
    ratios = np.linspace(0, 1, 64).reshape(8, 8).astype(dtype)
    dataset = make_object(RAMP[:8, :8], PixelData=None, WindowCenter="0.5", WindowWidth="1")
    dataset.BitsAllocated = 8 * ratios.itemsize
    setattr(dataset, keyword, ratios.tobytes())
    np.testing.assert_allclose(convert_all(encode(dataset))[0], ratios, atol=HALF)


def test_a_window_of_one_parts_whole_values(show: Any) -> None:
    shown = show(RAMP, WindowCenter=100, WindowWidth=1)
    assert np.array_equal(shown, RAMP >= 100)


@quick
@given(slope=st.sampled_from([0.25, 1, 2.5, -1]), intercept=st.integers(-1024, 1024))
def test_the_window_applies_to_rescaled_values(show: Any, slope: float, intercept: int) -> None:
    shown = show(RAMP, RescaleSlope=slope, RescaleIntercept=intercept, WindowCenter=40, WindowWidth=400)
    expected = np.vectorize(linear)(RAMP * slope + intercept, 40, 400)
    np.testing.assert_allclose(shown, expected, atol=HALF)


def test_a_slope_of_zero_is_ignored(show: Any) -> None:
    window = {"WindowCenter": 40, "WindowWidth": 400}
    assert np.array_equal(show(RAMP, RescaleSlope=0, RescaleIntercept=7, **window), show(RAMP, **window))


def test_a_malformed_window_is_taken_for_none(make_object: Any, encode: Any, convert_all: Any) -> None:
    data = encode(make_object(RAMP, WindowCenter="40", WindowWidth="400"))
    (shown,) = convert_all(data.replace(b"\x02\x0040", b"\x02\x00x "))
    assert np.array_equal(shown, convert_all(encode(make_object(RAMP)))[0])


def test_decimals_may_have_a_comma(make_object: Any, encode: Any, convert_all: Any) -> None:
    dataset = make_object(
        RAMP, RescaleSlope="2.5", RescaleIntercept="-100.25", WindowCenter="40.125", WindowWidth="400.0"
    )
    data = encode(dataset)
    for each in (b"2.5", b"-100.25", b"40.125", b"400.0"):
        assert data.count(each) == 1
        data = data.replace(each, each.replace(b".", b","))
    (shown,) = convert_all(data)
    assert np.array_equal(shown, convert_all(encode(dataset))[0])


def test_terms_may_be_in_small_letters(show: Any) -> None:
    window = {"WindowCenter": 300, "WindowWidth": 100}
    shown = show(RAMP, PhotometricInterpretation="monochrome1", VOILUTFunction="sigmoid", **window)
    assert np.array_equal(shown, show(RAMP, PresentationLUTShape="inverse", VOILUTFunction="SIGMOID", **window))


def test_monochrome1_is_inverted_last(show: Any) -> None:
    window = {"WindowCenter": 300, "WindowWidth": 100, "RescaleSlope": 2, "RescaleIntercept": 1}
    positive = show(RAMP, **window)
    np.testing.assert_allclose(
        show(RAMP, PhotometricInterpretation="MONOCHROME1", **window), 1 - positive, atol=1e-6
    )


@pytest.mark.parametrize(
    ("photometric", "shape", "inverse"),
    [
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_the_presentation_shape_never_inverts_twice(show: Any, photometric: str, shape: str, inverse: bool) -> None:
    window = {"WindowCenter": 0, "WindowWidth": 4096}
    shown = show(RAMP, PhotometricInterpretation=photometric, PresentationLUTShape=shape, **window)
    assert (shown[0, 0] > shown[-1, -1]) == inverse


def lut(keyword_type: str, descriptor: list[int], data: list[int]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if descriptor[1] >= 0 else "SS", descriptor)
    item.ModalityLUTType = keyword_type
    item.add_new("LUTData", "US", data)
    return item


@pytest.mark.parametrize(
    ("dtype", "values", "first", "expected"),
    [
        (np.uint8, [0, 1, 2, 3, 250], 0, [100, 400, 200, 300, 300]),
        # its first input has the sign of the pixels: OFFIS' test images of MONOCHROME1 have it written as US
        (np.int16, [-2048, -2047, -2046, -2045, 7], 0x10000 - 2048, [100, 400, 200, 300, 300]),
        (np.uint16, [0, 40_000, 40_001, 40_002, 65_535], 40_000, [100, 100, 400, 200, 300]),
    ],
)
def test_a_modality_lut_comes_before_the_window(
    show: Any, dtype: type, values: list[int], first: int, expected: list[int]
) -> None:
    item = lut("US", [4, first, 16], [100, 400, 200, 300])
    shown = show(np.array([values], dtype), ModalityLUTSequence=[item], WindowCenter=250, WindowWidth=301)
    np.testing.assert_allclose(shown[0], [linear(x, 250, 301) for x in expected], atol=HALF)


def test_the_modality_lut_of_angiography_is_not_for_display(show: Any) -> None:
    values = np.array([[0, 100, 255]], np.uint8)
    item = lut("US", [256, 0, 8], list(range(255, -1, -1)))
    shown = show(values, ModalityLUTSequence=[item], SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")
    np.testing.assert_allclose(shown[0], values[0] / 255, atol=HALF)


def test_a_voi_lut_is_preferred_to_the_window_and_clamps(show: Any) -> None:
    values = np.array([[-10, -2, -1, 0, 1, 9]], np.int16)
    item = lut("US", [4, -2, 10], [0, 1023, 512, 256])
    shown = show(values, VOILUTSequence=[item], WindowCenter=0, WindowWidth=10)
    np.testing.assert_allclose(shown[0], np.array([0, 0, 1023, 512, 256, 256]) / 1023, atol=HALF)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("first", "written", "values", "intercept"),
    [
        (-1024, "SS", np.arange(0, 2048, dtype=np.uint16), -1024),
        (64512, "US", np.arange(0, 2048, dtype=np.uint16), -1024),
        (40000, "US", np.arange(-1024, 1024, dtype=np.int16), 41024),
        (-25536, "SS", np.arange(-1024, 1024, dtype=np.int16), 41024),
        (-2000, "SS", np.arange(0, 1072, dtype=np.uint16), -2000),
    ],
)
def test_the_sign_of_a_voi_luts_first_input_is_that_of_what_goes_in(
    show: Any, syntax: str, first: int, written: str, values: Any, intercept: int
) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", written, [2048, first, 16])
    item.add_new("LUTData", "US", list(range(0, 2**16, 32)))
    shown = show(values[None], syntax, VOILUTSequence=[item], RescaleSlope=1, RescaleIntercept=intercept)
    expected = np.arange(values.size) * 32 / (2**16 - 1)
    np.testing.assert_allclose(shown[0], expected, atol=HALF)


def test_a_lut_without_data_is_ignored(show: Any) -> None:
    assert np.array_equal(show(RAMP, VOILUTSequence=[Dataset()]), show(RAMP))


def test_eight_bits_without_a_window_are_shown_as_they_are(show: Any) -> None:
    values = np.array([[50, 60, 70]], np.uint8)
    np.testing.assert_allclose(show(values)[0], values[0] / 255, atol=HALF)
    signed = np.array([[-128, 0, 127]], np.int8)
    np.testing.assert_allclose(show(signed)[0], [0, 128 / 255, 1], atol=HALF)


def test_segmentations_are_white_at_the_highest_value_that_they_name(show: Any) -> None:
    """PS3.3 C.8.20.2: a share of Maximum Fractional Value, or the number of a segment, is no level of a screen."""
    stored = np.arange(41, dtype=np.uint8).reshape(1, 41)
    fractions = show(stored, Modality="SEG", SegmentationType="FRACTIONAL", MaximumFractionalValue=40)
    np.testing.assert_allclose(fractions, stored / 40, atol=HALF)
    segments = [Dataset(), Dataset()]
    for number, each in enumerate(segments, start=19):
        each.SegmentNumber = number
    labels = show(stored, Modality="SEG", SegmentationType="LABELMAP", SegmentSequence=segments)
    np.testing.assert_allclose(labels, np.minimum(stored / 20, 1), atol=HALF)
    unknown = show(stored, Modality="SEG", SegmentationType="FRACTIONAL")
    np.testing.assert_allclose(unknown, stored / 255, atol=HALF)


def test_more_bits_without_a_window_are_stretched_between_percentiles(show: Any) -> None:
    values = np.linspace(1000, 3000, 10_000).astype(np.uint16).reshape(100, 100)
    values[0, 0], values[-1, -1] = 0, 60_000
    shown = show(values)
    low, high = np.percentile(values, (0.5, 99.5))
    np.testing.assert_allclose(shown, np.clip((values - low) / (high - low), 0, 1), atol=HALF)


def test_a_flat_picture_and_an_almost_empty_mask_are_shown(show: Any) -> None:
    assert not show(np.full((8, 8), 700, np.uint16)).any()
    mask = np.zeros((100, 100), np.uint16)
    mask[3, 4] = 9
    assert show(mask).max() == 1


CT = np.linspace(-900, 1100, 10_000).astype(np.int16).reshape(100, 100)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_values_below_air_count_in_ct_only_where_all_are_wanted(show: Any, dtype: Any) -> None:
    values = CT.astype(dtype)
    values[:30] = -3000
    inside = np.percentile(values[30:], (0.5, 99.5))
    for window, (low, high) in (("auto", inside), ("full", (-3000, 1100)), ("voi", (-3000, 1100))):
        shown = show(values, rendering=Rendering(side=100_000, window=window), Modality="CT")
        np.testing.assert_allclose(shown, np.clip((values - low) / (high - low), 0, 1), atol=HALF)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("padding", [{}, {"PixelPaddingValue": 0}])
def test_ct_that_has_nothing_above_air_is_shown(show: Any, dtype: Any, padding: dict[str, int]) -> None:
    """As where the intercept was written, and applied to the pixels, too; padding above does not change it."""
    values = (CT - 3000).astype(dtype)
    values[0] = 0 if padding else values[1]
    low, high = np.percentile(values[1:], (0.5, 99.5)) if padding else np.percentile(values, (0.5, 99.5))
    expected = np.clip((values - low) / (high - low), 0, 1)
    expected[0] = 0 if padding else expected[0]
    np.testing.assert_allclose(show(values, Modality="CT", **padding), expected, atol=HALF)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_padding_is_black_and_does_not_count(show: Any, dtype: Any) -> None:
    inside = np.linspace(0, 1000, 400).astype(dtype).reshape(20, 20)
    padded = np.full((60, 60), -2000, np.int16).view(dtype)
    padded[20:40, 20:40] = inside
    shown = show(padded, PixelPaddingValue=int(padded[0, 0]))
    np.testing.assert_allclose(shown[20:40, 20:40], show(inside), atol=HALF)
    assert not shown[:20].any()


def test_a_padding_value_of_the_wrong_sign_is_understood(make_object: Any, encode: Any, convert_all: Any) -> None:
    dataset = make_object(np.array([[-2000, 0, 50]], np.int16), WindowCenter=-2000, WindowWidth=4000)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    assert convert_all(encode(dataset))[0][0, 0] == 0


@pytest.mark.parametrize("kept", [-2000, 63536, 256])
def test_a_padding_value_that_no_byte_can_have_is_none(
    make_object: Any, encode: Any, convert_all: Any, kept: int
) -> None:
    dataset = make_object(np.arange(256, dtype=np.uint8).reshape(16, 16))
    dataset.add_new("PixelPaddingValue", "SS" if kept < 0 else "US", kept)
    assert np.array_equal(np.rint(convert_all(encode(dataset))[0] * 255), np.arange(256).reshape(16, 16))


def test_padding_of_an_inverted_picture_is_black_too(show: Any) -> None:
    values = np.array([[0, 0, 100, 200]], np.uint8)
    shown = show(values, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)
    np.testing.assert_allclose(shown[0], [0, 0, 155 / 255, 55 / 255], atol=HALF)


def test_a_padding_range_counts_whole(show: Any) -> None:
    values = np.array([[0, 5, 10, 11, 255]], np.uint8)
    shown = show(values, PixelPaddingValue=0, PixelPaddingRangeLimit=10, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_allclose(shown[0], [0, 0, 0, 244 / 255, 0], atol=HALF)


@pytest.mark.parametrize(("stored", "high"), [(12, 11), (12, 15), (10, 12), (16, 15)])
@pytest.mark.parametrize("signed", [False, True])
def test_unused_bits_do_not_matter(show: Any, stored: int, high: int, signed: bool) -> None:
    low = -(1 << (stored - 1)) if signed else 0
    values = np.linspace(low, low + (1 << stored) - 1, 256).astype(np.int32).reshape(16, 16)
    field = ((1 << stored) - 1) << (high + 1 - stored)
    noise = np.random.default_rng(0).integers(0, 1 << 16, values.shape)
    cells = ((values << (high + 1 - stored)) & field) | (noise & ~field)
    shown = show(
        cells.astype(np.uint16).view(np.int16 if signed else np.uint16),
        BitsStored=stored,
        HighBit=high,
        WindowCenter=low + (1 << (stored - 1)),
        WindowWidth=1 << stored,
    )
    np.testing.assert_allclose(shown, np.linspace(0, 1, 256).reshape(16, 16), atol=3e-3)


@pytest.mark.parametrize(
    ("dtype", "keyword"), [(np.float32, "FloatPixelData"), (np.float64, "DoubleFloatPixelData")]
)
def test_float_pixels(make_object: Any, encode: Any, convert_all: Any, dtype: Any, keyword: str) -> None:
    values = np.linspace(-1e-3, 1e-3, 1024).astype(dtype).reshape(32, 32)
    values[0, 0] = np.nan
    bits = 8 * values.itemsize
    dataset = make_object(RAMP[:32, :32], PixelData=None, BitsStored=None, HighBit=None, PixelRepresentation=None)
    dataset.BitsAllocated = bits
    setattr(dataset, keyword, values.tobytes())
    (shown,) = convert_all(encode(dataset))
    assert shown[0, 0] == 0
    assert np.all(np.diff(shown.ravel()[1:]) >= 0)
    assert shown[-1, -1] == 1


def test_packed_bits(make_object: Any, encode: Any, convert_all: Any) -> None:
    frames = np.random.default_rng(1).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    dataset = make_object(frames[0], NumberOfFrames=3, BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    assert np.array_equal(np.stack(convert_all(encode(dataset))), frames)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_twelve_bits_that_share_bytes(
    make_object: Any, encode: Any, convert_all: Any, signed: bool, syntax: str
) -> None:
    """The middle one of three frames begins within a byte."""
    low, high = (-2048, 2048) if signed else (0, 4096)
    frames = np.random.default_rng(1).integers(low, high, (3, 5, 7)).astype(np.int16 if signed else np.uint16)
    window = {"WindowCenter": (low + high) // 2, "WindowWidth": 4096}
    twelve = {"NumberOfFrames": 3, "BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}
    dataset = make_object(frames[0], syntax, **twelve, **window)
    bits = np.unpackbits(frames.astype("<u2").reshape(-1, 1).view(np.uint8), axis=1, bitorder="little")[:, :12]
    packed = np.packbits(np.append(bits.ravel(), np.zeros(4, np.uint8)), bitorder="little")
    dataset.PixelData = (packed.reshape(-1, 2)[:, ::-1] if syntax == ExplicitVRBigEndian else packed).tobytes()
    expected = (frames.astype(float) - low) / 4095
    np.testing.assert_allclose(np.stack(convert_all(encode(dataset))), expected, atol=HALF)


def test_each_frame_of_an_enhanced_object_has_its_own_scale(
    make_object: Any, encode: Any, convert_all: Any
) -> None:
    values = np.array([[[0, 100]], [[0, 100]]], np.uint16)
    groups = []
    for slope, center in ((1, 50), (2, 100)):
        transformation, window, group = Dataset(), Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 0
        window.WindowCenter, window.WindowWidth, window.VOILUTFunction = center, 2 * center, "LINEAR_EXACT"
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [transformation], [window]
        groups.append(group)
    dataset = make_object(values[0], NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups)
    dataset.PixelData = values.tobytes()
    for shown in convert_all(encode(dataset)):
        np.testing.assert_allclose(shown, [[0, 1]], atol=HALF)


def test_a_shared_functional_group_holds_for_all_frames(make_object: Any, encode: Any, convert_all: Any) -> None:
    window, shared = Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 50, 101
    shared.FrameVOILUTSequence = [window]
    dataset = make_object(np.array([[0, 50, 100]], np.uint16), SharedFunctionalGroupsSequence=[shared])
    np.testing.assert_allclose(convert_all(encode(dataset))[0], [[0.005, 0.505, 1]], atol=HALF)
