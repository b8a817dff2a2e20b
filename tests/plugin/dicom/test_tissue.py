"""Where a picture is cut to, and where it is left whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.data import get_testdata_file

from cbmir.dicom.header import describe
from cbmir.dicom.tissue import MARGIN, Box, largest_part, otsu, region
from cbmir.types import ByteArray, UltrasoundRegion

ROWS, COLUMNS = 600, 450
MARKER = np.s_[40:80, 330:420]


def breast(background: int = 5, tissue: int = 160) -> ByteArray:
    """A half-ellipse at the left side that fades towards the skin, and a bright block such as "R MLO"."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    inside = 1 - ((rows - 320) / 230) ** 2 - (columns / 260) ** 2
    picture = background + (tissue - background) * np.sqrt(np.clip(inside, 0, 1))
    picture += np.random.default_rng(0).normal(0, 2, picture.shape)
    picture[MARKER] = 250
    return np.clip(picture, 0, 255).astype(np.uint8)


def assert_holds_the_breast_alone(box: Box | None) -> None:
    assert box is not None
    top, left, bottom, right = box
    assert left == 0
    assert abs(top - 90) <= 25
    assert abs(bottom - 550) <= 25
    assert 235 <= right <= 290
    assert right <= 330  # where the marker begins
    assert top >= 60


def test_a_marker_beside_a_breast_is_cut_off() -> None:
    assert_holds_the_breast_alone(region(breast(), ()))


def test_of_a_picture_on_white_the_dark_part_is_kept() -> None:
    assert_holds_the_breast_alone(region(255 - breast(), ()))


def test_grey_in_three_channels_gives_the_same_box() -> None:
    grey = breast()
    assert region(np.stack([grey] * 3, axis=-1), ()) == region(grey, ())


def test_the_margin_around_a_block() -> None:
    picture = np.zeros((1000, 500), np.uint8)
    picture[200:800, 100:400] = 200
    box = region(picture, ())
    assert box is not None
    rows, columns = 1000 * MARGIN, 500 * MARGIN
    expected = (200 - rows, 100 - columns, 800 + rows, 400 + columns)
    assert np.abs(np.subtract(box, expected)).max() <= 1000 / 128 + 1


def test_the_margin_ends_at_the_edge() -> None:
    picture = np.zeros((200, 200), np.uint8)
    picture[:100, :100] = 200
    assert region(picture, ()) == (0, 0, 104, 104)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_picture_is_kept(level: int) -> None:
    assert region(np.full((300, 200), level, np.uint8), ()) is None


@pytest.mark.parametrize("size", [1, 20, 128, 512])
def test_noise_is_kept(size: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size, size)).astype(np.uint8)
    assert region(noise, ()) is None
    assert region((noise // 16 + 100).astype(np.uint8), ()) is None


def test_a_picture_full_of_tissue_is_kept() -> None:
    rows, columns = np.mgrid[:400, :400]
    chest = 120 + 60 * np.sin(rows / 60) * np.cos(columns / 45)
    assert region(chest.astype(np.uint8), ()) is None


def test_a_background_of_middle_grey_is_none() -> None:
    assert region(breast(128, 250), ()) is None
    assert_holds_the_breast_alone(region(breast(40, 180), ()))


@pytest.mark.parametrize("side", [60, 392])
def test_too_little_and_too_much_are_kept(side: int) -> None:
    picture = np.zeros((400, 400), np.uint8)
    first = (400 - side) // 2
    picture[first : first + side, first : first + side] = 200
    assert region(picture, ()) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1, 3), (2, 2)])
def test_odd_shapes_are_no_trouble(shape: tuple[int, ...]) -> None:
    assert region(np.zeros(shape, np.uint8), ()) is None


@settings(deadline=None)
@given(
    pixels=arrays(
        np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.sampled_from([0, 90, 255])
    )
)
def test_any_box_lies_in_the_picture(pixels: ByteArray) -> None:
    box = region(pixels, ())
    if box is not None:
        top, left, bottom, right = box
        assert 0 <= top < bottom <= pixels.shape[0]
        assert 0 <= left < right <= pixels.shape[1]
        assert (bottom - top) * (right - left) < pixels.size


def part(x0: int, y0: int, x1: int, y1: int, spatial_format: int = 1, data_type: int = 1) -> UltrasoundRegion:
    return UltrasoundRegion(x0, y0, x1, y1, spatial_format, data_type)


SCREEN = np.zeros((480, 640, 3), np.uint8)


def test_corners_of_ultrasound_regions_are_inclusive() -> None:
    assert region(SCREEN, (part(100, 50, 499, 399),)) == (50, 100, 400, 500)


def test_regions_of_tissue_and_of_flow_are_united_and_others_left_out() -> None:
    traces = part(0, 400, 639, 479, 3, 3), part(0, 0, 639, 479, 2, 1), part(0, 0, 639, 479, 1, 0)
    flow = part(300, 100, 559, 300, data_type=2)
    assert region(SCREEN, (part(100, 50, 299, 249), flow, *traces)) == (50, 100, 301, 560)
    assert region(SCREEN, traces) is None


def test_regions_are_clipped_to_the_picture() -> None:
    assert region(SCREEN, (part(200, 100, 700, 400),)) == (100, 200, 401, 640)
    assert region(SCREEN, (part(200, 100, 600, 65_535),)) == (100, 200, 480, 601)
    assert region(SCREEN, (part(640, 0, 700, 100), part(0, 480, 10, 600))) is None


def test_regions_of_a_larger_picture_are_not_believed() -> None:
    assert region(SCREEN, (part(200, 100, 800, 600),)) == region(SCREEN, ())


@pytest.mark.parametrize("whole", [part(0, 0, 639, 479), part(0, 0, 10, 10), part(0, 0, 639, 9999)])
def test_regions_of_all_or_of_next_to_nothing_are_no_use(whole: UltrasoundRegion) -> None:
    assert region(SCREEN, (whole,)) is None


def test_a_real_ultrasound() -> None:
    dataset = pydicom.dcmread(get_testdata_file("examples_palette.dcm"))
    pixels = np.zeros((dataset.Rows, dataset.Columns), np.uint8)
    assert region(pixels, describe(dataset, "us").ultrasound_regions) == (60, 120, 350, 800)


@pytest.mark.shared
def test_the_text_beside_a_real_ultrasound(shared: Path) -> None:
    name = "pydicom+pylibjpeg-data__JPEGLosslessP14SV1_1s_1f_u_08_08.dcm"
    dataset = pydicom.dcmread(shared / "dicom" / "single" / name, stop_before_pixels=True)
    (only,) = describe(dataset, name).ultrasound_regions
    pixels = np.zeros((dataset.Rows, dataset.Columns), np.uint8)
    assert region(pixels, (only,)) == (only.y0, only.x0, only.y1 + 1, only.x1 + 1)


def test_otsu_leaves_the_least_variance_within_both_groups() -> None:
    generator = np.random.default_rng(0)
    grey = np.concatenate([generator.normal(60, 12, 4000), generator.normal(180, 25, 1500)])
    levels = np.clip(grey, 0, 255).astype(np.uint8).reshape(-1, 50)
    parted = ((t, levels[levels <= t], levels[levels > t]) for t in range(int(levels.min()), int(levels.max())))
    within = {t: below.var() * below.size + above.var() * above.size for t, below, above in parted}
    best = [t for t, variance in within.items() if variance <= min(within.values()) * (1 + 1e-9)]
    assert min(best) <= otsu(levels) <= max(best)
    assert otsu(np.full((3, 3), 7, np.uint8)) == 7


def spiral(side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """One path through nearly all of a square: the hardest for labels that only spread to neighbours."""
    mask = np.zeros((side, side), bool)
    for row in range(0, side, 2):
        mask[row] = True
        mask[min(row + 1, side - 1), -1 if row % 4 == 0 else 0] = True
    return mask


def test_a_long_path_is_one_part() -> None:
    mask = spiral(127)
    np.testing.assert_array_equal(largest_part(mask), mask)


@given(mask=arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_the_largest_part_as_a_flood_finds_it(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
    parts: list[set[tuple[int, int]]] = []
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    while left:
        found, edge = set(), {left.pop()}
        while edge:
            found |= edge
            around = {(r + dr, c + dc) for r, c in edge for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))}
            edge = around & left
            left -= edge
        parts.append(found)
    own = {(int(row), int(column)) for row, column in np.argwhere(largest_part(mask))}
    assert len(own) == max(map(len, parts), default=0)
    assert not own or own in parts
