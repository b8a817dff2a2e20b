"""Overlay planes: where each bit of them lies in the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from cbmir.dicom.overlays import count, read_overlays
from cbmir.quiet import contained

Bits = npt.NDArray[np.bool_]


def packed(bits: Bits) -> bytes:
    """The first bit in the lowest bit of the first byte (PS3.5 8.1.2), padded to an even length."""
    data = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    return data + b"\0" * (len(data) % 2)


def add(dataset: Dataset, group: int, rows: Any, columns: Any, data: bytes | None = None, **more: Any) -> Dataset:
    """Add a plane to an object."""
    elements = {"origin": ("SS", 0x50), "frames": ("IS", 0x15), "first": ("US", 0x51), "bit": ("US", 0x102)}
    dataset.add_new((group, 0x10), "US", rows)
    dataset.add_new((group, 0x11), "US", columns)
    dataset.add_new((group, 0x40), "CS", more.pop("kind", "G"))
    if data is not None:
        dataset.add_new((group, 0x3000), more.pop("vr", "OW"), data)
    for name, value in more.items():
        dataset.add_new((group, elements[name][1]), elements[name][0], value)
    return dataset


def empty(little_endian: bool = True) -> Dataset:
    dataset = Dataset()
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=little_endian)
    return dataset


def random_bits(*shape: int) -> Bits:
    return np.random.default_rng(0).random(shape) < 0.5


def test_an_object_without_overlays() -> None:
    assert count(empty()) == 0
    assert not read_overlays(empty(), 0, (3, 4), None).any()


@pytest.mark.parametrize("kind", ["G", "R"])
def test_the_first_bit_is_the_lowest_of_the_first_byte(kind: str) -> None:
    dataset = add(empty(), 0x6000, 2, 5, b"\x21\x02", origin=[1, 1], kind=kind)
    expected = [[True, False, False, False, False], [True, False, False, False, True]]
    np.testing.assert_array_equal(read_overlays(dataset, 0, (2, 5), None), expected)
    assert count(dataset) == 1


@pytest.mark.parametrize("origin", [(1, 1), (3, 2), (0, 0), (-4, 9), (6, -2), (100, 1), (1, -100)])
def test_the_origin_is_counted_from_one_and_the_rest_cut_off(origin: tuple[int, int]) -> None:
    bits = random_bits(7, 11)
    found = read_overlays(add(empty(), 0x6002, 7, 11, packed(bits), origin=list(origin)), 0, (8, 10), None)
    for row, column in np.ndindex(8, 10):
        own = row + 1 - origin[0], column + 1 - origin[1]
        inside = 0 <= own[0] < 7 and 0 <= own[1] < 11
        assert found[row, column] == (inside and bits[own])


def test_planes_are_united() -> None:
    first, last = random_bits(4, 4), ~random_bits(4, 4)
    last[0] = False
    dataset = add(add(empty(), 0x6000, 4, 4, packed(first)), 0x601E, 4, 4, packed(last))
    assert count(dataset) == 2
    np.testing.assert_array_equal(read_overlays(dataset, 0, (4, 4), None), first | last)


def test_groups_that_are_no_planes() -> None:
    dataset = add(add(empty(), 0x6020, 4, 4, b"\xff\xff"), 0x6001, 4, 4, b"\xff\xff")
    assert count(dataset) == 0


def test_frames_follow_each_other_in_mid_byte() -> None:
    bits = random_bits(3, 5, 7)
    dataset = add(empty(), 0x6000, 5, 7, packed(bits), frames=3, first=2)
    for index in range(6):
        expected = bits[index - 1] if 1 <= index < 4 else np.zeros((5, 7), bool)
        np.testing.assert_array_equal(read_overlays(dataset, index, (5, 7), None), expected)


@pytest.mark.parametrize(
    ("more", "frames"),
    [({}, {0, 1, 2, 3}), ({"first": 3}, {2}), ({"frames": 1}, {0}), ({"frames": 1, "first": 2}, {1})],
)
def test_one_frame_belongs_to_one_or_to_all(more: dict[str, int], frames: set[int]) -> None:
    dataset = add(empty(), 0x6000, 4, 4, b"\xff\xff", **more)
    assert {index for index in range(4) if read_overlays(dataset, index, (4, 4), None).any()} == frames


@pytest.mark.parametrize("vr", ["OW", "OB"])
def test_words_of_a_big_endian_file_are_swapped_and_bytes_are_not(vr: str) -> None:
    bits = random_bits(4, 12)
    data = packed(bits)
    stored = np.frombuffer(data, "<u2").astype(">u2").tobytes() if vr == "OW" else data
    dataset = add(empty(little_endian=False), 0x6000, 4, 12, stored, vr=vr)
    np.testing.assert_array_equal(read_overlays(dataset, 0, (4, 12), None), bits)


def embedded(bit: int, **more: Any) -> Dataset:
    dataset = add(empty(), 0x6000, 3, 4, bit=bit)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def test_bits_embedded_in_the_pixel_cells() -> None:
    bits = random_bits(3, 4)
    cells = (np.arange(12).reshape(3, 4) | bits << 13 | ~bits << 14).astype(np.uint16)
    assert count(embedded(13)) == 1
    np.testing.assert_array_equal(read_overlays(embedded(13), 0, (3, 4), cells), bits)
    assert not read_overlays(embedded(13), 0, (3, 4), None).any()
    assert not read_overlays(embedded(13), 0, (3, 5), cells).any()


def test_bits_below_the_value() -> None:
    cells = np.array([[1, 2, 0x11, 0xF0]] * 3, np.uint8)
    dataset = embedded(0, BitsAllocated=8, BitsStored=4, HighBit=7)
    np.testing.assert_array_equal(read_overlays(dataset, 0, (3, 4), cells), [[True, False, True, False]] * 3)


@pytest.mark.parametrize("bit", [0, 11, 16, 65_535])
def test_a_bit_of_the_value_is_no_overlay(bit: int) -> None:
    assert count(embedded(bit)) == 0
    assert not read_overlays(embedded(bit), 0, (3, 4), np.full((3, 4), 0xFFFF, np.uint16)).any()


def test_overlay_data_win_over_the_bit_position() -> None:
    dataset = embedded(13)
    dataset.add_new((0x6000, 0x3000), "OW", packed(np.zeros((3, 4), bool)))
    assert not read_overlays(dataset, 0, (3, 4), np.full((3, 4), 0xFFFF, np.uint16)).any()


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (65_535, 65_535), (4, 5)])
def test_a_plane_that_its_data_do_not_fill_is_empty(size: tuple[int, int]) -> None:
    assert not read_overlays(add(empty(), 0x6000, *size, b"\xff\xff"), 0, (4, 4), None).any()


def test_a_plane_of_many_blocks() -> None:
    bits = random_bits(3000, 2999)
    found = read_overlays(add(empty(), 0x6000, 3000, 2999, packed(bits), origin=[3, 0]), 0, (3000, 2999), None)
    np.testing.assert_array_equal(found[2:, :-1], bits[:-2, 1:])


anything = st.integers(-(2**31), 2**31 - 1) | st.integers(-9, 9) | st.none() | st.text(max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    size=st.tuples(anything, anything),
    data=st.none() | st.binary(max_size=40),
    more=st.fixed_dictionaries(
        {},
        optional={
            "origin": st.lists(st.integers(-(2**40), 2**40), max_size=3) | anything,
            "frames": anything,
            "first": anything,
            "bit": anything,
        },
    ),
    index=st.integers(0, 5),
)
def test_any_header_gives_a_mask(size: Any, data: bytes | None, more: dict[str, Any], index: int) -> None:
    with contained():
        dataset = empty()
        dataset.BitsAllocated = 8
        try:
            add(dataset, 0x6000, *size, data, **more)
        except (ValueError, TypeError, OverflowError):
            return  # pydicom does not let one write this
        found = read_overlays(dataset, index, (4, 6), np.full((4, 6), 0xFF, np.uint8))
    assert found.shape == (4, 6)
    assert found.dtype == np.bool_


def test_a_real_overlay_as_pydicom_reads_it() -> None:
    dataset = pydicom.dcmread(get_testdata_file("examples_overlay.dcm"))
    found = read_overlays(dataset, 0, (300, 484), None)
    np.testing.assert_array_equal(found, dataset.overlay_array(0x6000).astype(bool))
    assert 0.001 < found.mean() < 0.5


@pytest.mark.shared
@pytest.mark.parametrize("name", ["I10_1", "I20"])
def test_real_overlays_of_a_ct_phantom(shared: Path, name: str) -> None:
    path = shared / "dicom" / "series" / "ct_philips_ingenuity_phantom_sc" / f"{name}.dcm"
    dataset = pydicom.dcmread(path)
    assert count(dataset) == 1
    reference = dataset.overlay_array(0x6000).astype(bool)
    np.testing.assert_array_equal(read_overlays(dataset, 0, (256, 512), None), reference)
