"""Whatever a header holds: a picture in range, or an error of ours; nothing else, and nothing large."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import AllTransferSyntaxes

from cbmir.dicom.header import describe
from cbmir.dicom.read import read_object
from cbmir.errors import UnusableInput

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
        parsed.dataset.file_meta.TransferSyntaxUID = syntax
        list(shown(parsed, max_pixels=100_000, most=4))
