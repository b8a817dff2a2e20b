"""The shape of a pixel: which element says it, and what is not believed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from cbmir.dicom.aspect import MOST, SPACINGS, aspect


def object_of(**elements: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def measured(vertical: float, horizontal: float) -> list[Dataset]:
    """The item of a functional group."""
    return [object_of(PixelMeasuresSequence=[object_of(PixelSpacing=[vertical, horizontal])])]


def test_square_where_nothing_is_said() -> None:
    assert aspect(Dataset(), 0) == 1.0


@pytest.mark.parametrize("keyword", SPACINGS)
def test_the_vertical_value_is_the_first(keyword: str) -> None:
    assert aspect(object_of(**{keyword: [3, 2]}), 0) == 1.5


def test_which_wins() -> None:
    ratios = {keyword: [place + 2, 1] for place, keyword in enumerate(SPACINGS)}
    for place, keyword in enumerate(SPACINGS):
        assert aspect(object_of(**ratios), 0) == place + 2
        del ratios[keyword]


def test_a_senseless_element_gives_way_to_the_next() -> None:
    assert aspect(object_of(PixelSpacing=[0, 0], ImagerPixelSpacing=[1, 2]), 0) == 0.5


def test_each_frame_has_its_own_before_the_shared() -> None:
    dataset = object_of(
        PerFrameFunctionalGroupsSequence=[*measured(2, 1), Dataset()],
        SharedFunctionalGroupsSequence=measured(3, 1),
        PixelSpacing=[4, 1],
    )
    assert [aspect(dataset, index) for index in range(3)] == [2, 3, 3]


def test_an_enhanced_radiograph_has_its_spacing_at_the_detector() -> None:
    def at_the_detector(vertical: float) -> list[Dataset]:
        return [object_of(FramePixelDataPropertiesSequence=[object_of(ImagerPixelSpacing=[vertical, 1])])]

    dataset = object_of(
        PerFrameFunctionalGroupsSequence=[*at_the_detector(2), Dataset()],
        SharedFunctionalGroupsSequence=at_the_detector(3),
        PixelAspectRatio=[4, 1],
    )
    assert [aspect(dataset, index) for index in range(3)] == [2, 3, 3]
    dataset.PixelSpacing = [5, 1]
    assert aspect(dataset, 0) == 5


def test_measures_without_a_spacing_give_way_to_the_object() -> None:
    shared = [object_of(PixelMeasuresSequence=[object_of(SliceThickness=1)])]
    assert aspect(object_of(SharedFunctionalGroupsSequence=shared, PixelAspectRatio=[1, 2]), 0) == 0.5


@pytest.mark.parametrize("pair", [[0, 1], [1, 0], [-1, -1], [21, 1], [1, 21], [2], [1, 2, 3], ["1e300", "1e-300"]])
def test_what_makes_no_sense_is_square(pair: list[Any]) -> None:
    assert aspect(object_of(PixelSpacing=pair), 0) == 1.0


def test_an_element_of_text_is_square() -> None:
    dataset = Dataset()
    dataset.add_new("PixelAspectRatio", "LO", ["a", "b"])
    assert aspect(dataset, 0) == 1.0


@given(pair=st.lists(st.floats(), min_size=2, max_size=2))
def test_any_numbers_give_a_plausible_aspect(pair: list[float]) -> None:
    dataset = Dataset()
    dataset.add_new("PixelSpacing", "FD", pair)
    assert 1 / MOST <= aspect(dataset, 0) <= MOST


def test_a_real_slice_of_pydicoms() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    assert aspect(dataset, 0) == 1.0


@pytest.mark.shared
def test_a_real_radiograph(shared: Path) -> None:
    dataset = pydicom.dcmread(shared / "dicom" / "single" / "ImagingDataCommons+highdicom__dx_image.dcm")
    assert aspect(dataset, 0) == pytest.approx(1.2 / 1.2012, rel=1e-5)
