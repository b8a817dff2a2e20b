"""Whatever a header holds: a picture in range, or an error of ours; nothing else, and nothing large."""

from __future__ import annotations

import struct
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import imagecodecs
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, AllTransferSyntaxes, JPEGBaseline8Bit

from cbmir.dicom.frames import find_frames
from cbmir.dicom.header import describe
from cbmir.dicom.read import read_object
from cbmir.dicom.rendering import Rendering
from cbmir.errors import UnusableInput
from cbmir.services.conversion.convert import fitted

PIXELS = np.random.default_rng(0).integers(0, 4096, (20, 20)).astype(np.uint16)

short, signed = st.integers(0, 65_535), st.integers(-(2**31), 2**31 - 1)
small = st.integers(0, 40)
decimals = st.floats(-1e9, 1e9).map(lambda x: f"{x:.6g}")
HEADER = {
    "Rows": small | short,
    "Columns": small | short,
    "NumberOfFrames": signed,
    "SamplesPerPixel": st.sampled_from([0, 1, 2, 3, 4]),
    "PlanarConfiguration": st.sampled_from([0, 1, 2]),
    "BitsAllocated": st.sampled_from([0, 1, 8, 12, 16, 24, 32, 64, 65_535]),
    "BitsStored": small,
    "HighBit": small,
    "PixelRepresentation": st.sampled_from([0, 1, 2]),
    "PhotometricInterpretation": st.sampled_from(
        ["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "PALETTE COLOR", "CMYK", ""]
    ),
    "WindowCenter": decimals,
    "WindowWidth": decimals,
    "VOILUTFunction": st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "OTHER"]),
    "RescaleSlope": decimals,
    "RescaleIntercept": decimals,
    "PixelPaddingValue": st.integers(0, 32_767),
    "PixelPaddingRangeLimit": st.integers(0, 32_767),
    "PresentationLUTShape": st.sampled_from(["IDENTITY", "INVERSE", "LIN OD"]),
    "RedPaletteColorLookupTableDescriptor": st.lists(st.integers(0, 32_767), min_size=3, max_size=3),
    "RedPaletteColorLookupTableData": st.binary(max_size=64),
    "GreenPaletteColorLookupTableData": st.binary(max_size=64),
    "BluePaletteColorLookupTableData": st.binary(max_size=64),
    "PixelData": st.binary(max_size=600),
    "SOPClassUID": st.sampled_from(["1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.3"]),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(elements=st.fixed_dictionaries({}, optional=HEADER), syntax=st.sampled_from(AllTransferSyntaxes))
def test_any_header_gives_pictures_or_a_reason(
    make_object: Any, encode: Any, convert_all: Any, shown: Any, elements: dict[str, Any], syntax: str
) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (20, 20)).astype(np.uint16)
    dataset = make_object(pixels, **elements)
    encoded = encode(dataset)
    with suppress(UnusableInput):
        describe(read_object(encoded, "made.dcm").dataset, "made.dcm")
        for picture in convert_all(encoded, max_pixels=100_000):
            assert picture.ndim in (2, 3)
    with suppress(UnusableInput):
        parsed = read_object(encoded, "made.dcm")
        parsed.dataset.file_meta.TransferSyntaxUID = UID(syntax)
        list(shown(parsed, max_pixels=100_000, most=4))


sides = st.sampled_from([0, 1, 2, 19, 20, 21, 40, 32_767])
real = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, float("inf"), float("nan")])
texts = st.sampled_from(
    ["0", "1", "-1", "2\\1", "1e9", "1e-300", "-1e300", "0\\0", "nan", "inf", "", "x", "1\\2\\3"]
)
RENDERINGS = st.builds(
    Rendering,
    window=st.sampled_from(["auto", "voi", "full", (0.0, 1e-9), (1e300, 1e300), (40.0, 400.0)]),
    window_number=st.integers(1, 5),
    side=st.sampled_from([1, 7, 512]),
    crop=st.sampled_from(["none", "tissue"]),
    overlays=st.booleans(),
    waveform=st.sampled_from(["traces", "spectrogram"]),
)
SPACING = dict.fromkeys(
    ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"), texts
)
LUT = {
    "LUTDescriptor": st.lists(short, min_size=1, max_size=4),
    "LUTData": st.binary(max_size=600),
}
REGION = {
    f"RegionLocation{corner}": st.sampled_from([0, 1, 5, 19, 20, 65_535, 2**32 - 1])
    for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")
} | {"RegionSpatialFormat": st.integers(0, 5), "RegionDataType": st.integers(0, 5)}
OVERLAY = {
    0x0010: ("US", sides),
    0x0011: ("US", sides),
    0x0015: ("IS", texts),
    0x0050: ("SS", st.lists(st.sampled_from([-32_768, -1, 0, 1, 2, 32_767]), min_size=1, max_size=3)),
    0x0051: ("US", st.integers(0, 4)),
    0x0100: ("US", st.sampled_from([1, 8, 16])),
    0x0102: ("US", st.integers(0, 17)),
    0x3000: ("OW", st.binary(max_size=120)),
}
CHANNEL = {
    "ChannelSensitivity": texts,
    "ChannelSensitivityCorrectionFactor": texts,
    "ChannelBaseline": texts,
    "WaveformBitsStored": st.integers(0, 65),
}
WAVEFORM = {
    "WaveformOriginality": st.sampled_from(["ORIGINAL", "DERIVED", ""]),
    "NumberOfWaveformChannels": st.sampled_from([0, 1, 2, 3, 200, 65_535]),
    "NumberOfWaveformSamples": st.sampled_from([0, 1, 2, 100, 2**32 - 1]),
    "SamplingFrequency": texts,
    "WaveformBitsAllocated": st.sampled_from([0, 8, 12, 16, 32, 64]),
    "WaveformSampleInterpretation": st.sampled_from(["SB", "UB", "SS", "US", "SL", "UL", "SV", "UV", "MB", ""]),
    "WaveformPaddingValue": st.binary(max_size=9),
    "WaveformData": st.binary(max_size=800),
}
FRAME = {"WindowCenter": texts, "WindowWidth": texts, "VOILUTFunction": HEADER["VOILUTFunction"]}
RESCALE = {"RescaleSlope": texts, "RescaleIntercept": texts}


def some(elements: dict[Any, Any]) -> st.SearchStrategy[dict[Any, Any]]:
    """Any of the elements, or none of them, each with any of its values."""
    return st.fixed_dictionaries({}, optional=elements)


def item(**elements: Any) -> Dataset:
    """An item of a sequence."""
    return filled(Dataset(), elements)


def filled(dataset: Dataset, elements: dict[str, Any]) -> Dataset:
    """The dataset with the elements, whatever they hold."""
    for keyword, value in elements.items():
        put(dataset, Tag(keyword), VRS.get(keyword, dictionary_VR(keyword)), value)
    return dataset


def put(dataset: Dataset, tag: BaseTag, vr: str, value: Any) -> None:
    """Set an element; text as unknown bytes, which pydicom makes numbers of when it reads them, or fails."""
    text = value.encode() + b" " * (len(value) % 2) if isinstance(value, str) else None
    if text is None:
        dataset[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)
        return
    dataset[tag] = DataElement(tag, "OB", text)
    dataset[tag].VR = "UN"


SHOWN = {key: HEADER[key] for key in list(HEADER)[list(HEADER).index("WindowCenter") :] if key != "PixelData"}
"""What says how pixels are shown, and not where they lie."""

WHOLE: dict[str, Any] = {
    "NumberOfWaveformChannels": 2,
    "NumberOfWaveformSamples": 50,
    "SamplingFrequency": "100",
    "WaveformBitsAllocated": 16,
    "WaveformSampleInterpretation": "SS",
    "WaveformData": bytes(range(200)),
}
"""A waveform that can be drawn."""

VRS = {"LUTDescriptor": "US", "LUTData": "OW", "WaveformPaddingValue": "OB", "WaveformData": "OB"}

ITEMS = {
    "VOILUTSequence": some(LUT),
    "ModalityLUTSequence": some(LUT),
    "SequenceOfUltrasoundRegions": some(REGION),
}


def check(data: bytes, rendering: Rendering, policy: str = "spread") -> None:
    """A picture, uint8 and within its side, or an error of ours; the whole way from the bytes."""
    with suppress(UnusableInput):
        found = read_object(data, "made.dcm")
        regions = describe(found.dataset, "made.dcm").ultrasound_regions
        frames = find_frames(found, "made.dcm", max_pixels=100_000, regions=regions)
        for shown in frames.pictures(rendering, policy, 3):
            picture = fitted(shown, rendering.side)
            assert picture.pixels.dtype == np.uint8
            assert max(picture.pixels.shape[:2]) <= rendering.side
            assert min(picture.pixels.shape) >= 1


def bytes_with(encode: Any, dataset: Dataset) -> bytes:
    """The object as a file, whatever its elements hold."""
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        data: bytes = encode(dataset)
    finally:
        config.settings.writing_validation_mode = before
    return data


many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(
    elements=some({**SHOWN, **SPACING}),
    sequences=some({keyword: st.lists(each, max_size=3) for keyword, each in ITEMS.items()}),
    rendering=RENDERINGS,
)
def test_tables_regions_and_spacings(
    make_object: Any, encode: Any, elements: Any, sequences: Any, rendering: Rendering
) -> None:
    dataset = make_object(PIXELS)
    filled(dataset, elements)
    filled(dataset, {key: [item(**each) for each in items] for key, items in sequences.items()})
    check(bytes_with(encode, dataset), rendering)


@many
@given(planes=st.lists(some({key: each[1] for key, each in OVERLAY.items()}), max_size=3), rendering=RENDERINGS)
def test_overlay_planes(make_object: Any, encode: Any, planes: Any, rendering: Rendering) -> None:
    dataset = make_object(np.tile(PIXELS, (2, 1)), Rows=20, NumberOfFrames=2, BitsStored=12, HighBit=11)
    for number, plane in enumerate(planes):
        for key, value in plane.items():
            tag = Tag(0x6000 + 2 * number, key)
            put(dataset, tag, OVERLAY[key][0], value)
    check(bytes_with(encode, dataset), replace(rendering, overlays=True))


@many
@given(
    groups=st.lists(st.tuples(some(WAVEFORM), st.lists(some(CHANNEL), max_size=3)), min_size=1, max_size=2),
    unit=st.sampled_from(["uV", "mV", "mmHg", ""]),
    rendering=RENDERINGS,
)
def test_waveforms(make_object: Any, encode: Any, groups: Any, unit: str, rendering: Rendering) -> None:
    units = item(ChannelSensitivityUnitsSequence=[item(CodeValue=unit)])
    dataset = make_object(PIXELS, PixelData=None)
    dataset.WaveformSequence = [
        item(**{**WHOLE, **group}, ChannelDefinitionSequence=[filled(deepcopy(units), each) for each in channels])
        for group, channels in groups
    ]
    check(bytes_with(encode, dataset), rendering)


@many
@given(
    shared=some(FRAME),
    own=st.lists(st.tuples(some(FRAME), some(RESCALE), some({"PixelSpacing": texts})), max_size=4),
    policy=st.sampled_from(["spread", "representative", "all", "every:2"]),
    rendering=RENDERINGS,
)
def test_functional_groups(
    make_object: Any, encode: Any, shared: Any, own: Any, policy: str, rendering: Rendering
) -> None:
    dataset = make_object(np.tile(PIXELS, (4, 1)), Rows=20, NumberOfFrames=4)
    dataset.SharedFunctionalGroupsSequence = [item(FrameVOILUTSequence=[item(**shared)])]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            FrameVOILUTSequence=[item(**frame)],
            PixelValueTransformationSequence=[item(**rescale)],
            PixelMeasuresSequence=[item(**measures)],
        )
        for frame, rescale, measures in own
    ]
    check(bytes_with(encode, dataset), rendering, policy)


@many
@given(
    count=st.integers(0, 6),
    basic=st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([0, 8, 200]), max_size=6),
    extended=st.none() | st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 100]), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    frames=st.sampled_from(["-1", "0", "1", "2", "3", "4", "2147483647"]),
)
def test_fragments_and_offset_tables(
    make_object: Any, encode: Any, count: int, basic: Any, extended: Any, cuts: Any, frames: str
) -> None:
    frame = bytes(imagecodecs.jpeg8_encode(PIXELS.astype(np.uint8)))
    whole = frame * count
    pieces = [whole[one:other] for one, other in pairwise([0, *sorted(cuts), len(whole)])]
    item_of = [struct.pack("<HHL", 0xFFFE, 0xE000, len(each)) + each for each in pieces]
    table = struct.pack(f"<HHL{len(basic)}L", 0xFFFE, 0xE000, 4 * len(basic), *basic)
    dataset = filled(make_object(PIXELS.astype(np.uint8)), {"NumberOfFrames": frames})
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = table + b"".join(item_of) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    if extended is not None:
        filled(dataset, {"ExtendedOffsetTable": struct.pack(f"<{len(extended)}Q", *extended)})
        filled(dataset, {"ExtendedOffsetTableLengths": bytes(8 * len(extended))})
    check(bytes_with(encode, dataset), Rendering())


@many
@given(
    kind=st.sampled_from([("FloatPixelData", "f4", "FloatPixelPaddingValue", "FL")])
    | st.just(("DoubleFloatPixelData", "f8", "DoubleFloatPixelPaddingValue", "FD")),
    values=st.lists(real, min_size=1, max_size=12),
    padding=st.none() | real,
    elements=some({**FRAME, **RESCALE, "Modality": st.sampled_from(["CT", "PT", "RTDOSE", "MR"])}),
    rendering=RENDERINGS,
)
def test_float_pixels(
    make_object: Any, encode: Any, kind: Any, values: Any, padding: Any, elements: Any, rendering: Rendering
) -> None:
    keyword, dtype, padding_keyword, vr = kind
    with np.errstate(over="ignore"):
        pixels = np.resize(np.array(values).astype(dtype), (20, 20))
    dataset = filled(make_object(pixels), elements)
    del dataset.PixelData
    filled(dataset, {keyword: pixels.tobytes()})
    if padding is not None and (vr == "FD" or not np.isfinite(padding) or abs(padding) < 1e38):
        dataset[padding_keyword] = DataElement(padding_keyword, vr, padding)
    check(bytes_with(encode, dataset), rendering)
