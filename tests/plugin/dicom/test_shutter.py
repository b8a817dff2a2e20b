"""The display shutter: where each shape lies, what it hides, and what is no shutter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cbmir.dicom.rendering import Rendering
from cbmir.dicom.shutter import MOST, read_shutter
from cbmir.types import FloatArray

Show = Callable[..., FloatArray]

GREY = np.full((40, 60), 100, np.uint8)
ROW, COLUMN = np.mgrid[1:41, 1:61]
RECTANGLE = {
    "ShutterShape": "RECTANGULAR",
    "ShutterUpperHorizontalEdge": 5,
    "ShutterLowerHorizontalEdge": 30,
    "ShutterLeftVerticalEdge": 11,
    "ShutterRightVerticalEdge": 60,
}
CIRCLE = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [20, 30], "RadiusOfCircularShutter": 10}
TRIANGLE = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 40, 1, 40, 40]}
IN_RECTANGLE = (ROW >= 5) & (ROW <= 30) & (COLUMN >= 11)
IN_CIRCLE = (ROW - 20) ** 2 + (COLUMN - 30) ** 2 <= 100


def object_of(**elements: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("elements", "seen"),
    [
        (RECTANGLE, IN_RECTANGLE),
        (CIRCLE, IN_CIRCLE),
        (TRIANGLE, ROW >= COLUMN),
        (RECTANGLE | CIRCLE | {"ShutterShape": ["CIRCULAR", "RECTANGULAR"]}, IN_RECTANGLE & IN_CIRCLE),
        (CIRCLE | {"PixelAspectRatio": [2, 1]}, (2 * (ROW - 20)) ** 2 + (COLUMN - 30) ** 2 <= 100),
    ],
)
def test_what_lies_outside_of_the_shapes_is_black(show: Show, elements: dict[str, Any], seen: Any) -> None:
    assert np.array_equal(show(GREY, **elements) > 0, seen)


def test_colour_is_hidden_too(show: Show) -> None:
    picture = show(np.full((40, 60, 3), 100, np.uint8), **RECTANGLE)
    assert np.array_equal(picture.any(axis=2), IN_RECTANGLE)


def test_it_is_black_in_inverted_pictures(show: Show) -> None:
    picture = show(GREY, PhotometricInterpretation="MONOCHROME1", **RECTANGLE)
    assert np.array_equal(picture > 0, IN_RECTANGLE)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_percentiles_are_of_what_is_seen(show: Show, dtype: Any) -> None:
    ramp = (1000 + ROW * 60 + COLUMN).astype(dtype)
    dazzling = np.where(IN_RECTANGLE, ramp, 60000).astype(dtype)
    dull = np.where(IN_RECTANGLE, ramp, 2000).astype(dtype)
    assert np.array_equal(show(dazzling, **RECTANGLE), show(dull, **RECTANGLE))
    assert show(dazzling, **RECTANGLE)[IN_RECTANGLE].std() > 0.2


def test_overlays_lie_upon_it(make_object: Any, shown: Any) -> None:
    dataset = make_object(GREY, **RECTANGLE)
    for element, vr, value in (
        (0x10, "US", 40),
        (0x11, "US", 60),
        (0x50, "SS", [1, 1]),
        (0x3000, "OW", b"\1" + bytes(299)),
    ):
        dataset.add_new((0x6000, element), vr, value)
    (picture,) = shown(dataset, Rendering(side=100_000, overlays=True))
    assert picture[0, :2].tolist() == [255, 0]


@pytest.mark.parametrize(
    "elements",
    [
        RECTANGLE | {"ShutterUpperHorizontalEdge": None},
        CIRCLE | {"CenterOfCircularShutter": 20},
        CIRCLE | {"RadiusOfCircularShutter": 0},
        TRIANGLE | {"VerticesOfThePolygonalShutter": [1, 1, 40, 1]},
        TRIANGLE | {"VerticesOfThePolygonalShutter": [1, 1, 40, 1, 40, 2_000_000_000]},
        TRIANGLE | {"VerticesOfThePolygonalShutter": [1, 2, 3, 4] * MOST},
        {"ShutterShape": "BITMAP"},
        {"ShutterShape": ""},
        {},
    ],
)
def test_no_shutter_without_its_measures(elements: dict[str, Any]) -> None:
    assert read_shutter(object_of(**elements), 0) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ShutterUpperHorizontalEdge": 31},
        {"ShutterLeftVerticalEdge": 0, "ShutterUpperHorizontalEdge": 0, "ShutterLowerHorizontalEdge": 40},
    ],
)
def test_all_is_seen_where_nothing_would_be_and_where_nothing_is_hidden(
    show: Show, changes: dict[str, Any]
) -> None:
    assert (show(GREY, **RECTANGLE | changes) > 0).all()


def test_each_frame_has_its_own_before_the_shared() -> None:
    own, shared = (object_of(FrameDisplayShutterSequence=[object_of(**each)]) for each in (CIRCLE, RECTANGLE))
    dataset = object_of(
        PerFrameFunctionalGroupsSequence=[own, Dataset()], SharedFunctionalGroupsSequence=[shared], **TRIANGLE
    )
    said = [shutter.said for index in range(2) if (shutter := read_shutter(dataset, index))]
    assert said == ["outside of the shutter made black: circle", "outside of the shutter made black: rectangle"]
