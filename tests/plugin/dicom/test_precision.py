"""Values that few digits do not tell apart, and those that are no numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


@pytest.mark.parametrize(("slope", "intercept"), [(1, 10**8), (1, -(10**12)), ("0.001", 10**6), (-1, 10**9)])
def test_a_far_intercept_leaves_neighbours_apart(show: Any, slope: Any, intercept: int) -> None:
    values = RAMP * float(slope) + intercept
    center, width = float(values.mean()), float(np.ptp(values)) / 4
    picture = show(
        RAMP,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=f"{center:.10g}" if abs(center) < 10**9 else f"{center:.15g}",
        WindowWidth=f"{width:.10g}",
        VOILUTFunction="LINEAR_EXACT",
    )
    assert np.abs(picture - np.clip((values - center) / width + 0.5, 0, 1)).max() <= 1 / 255


def test_no_number_is_black_in_an_inverted_picture_too(make_object: Any, encode: Any, convert_all: Any) -> None:
    floats = RAMP.astype(np.float32)
    floats[0], floats[1] = np.nan, -np.inf
    made = make_object(RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=2048, WindowWidth=4096)
    made.BitsAllocated = 32
    made.FloatPixelData = floats.tobytes()
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, keyword)
    (picture,) = convert_all(encode(made))
    assert picture[0].max() == 0
    assert picture[1].min() == 1
    assert picture[2].min() > 0.9
