"""DICOM is found by its content, parsed in every encoding, and refused in words when it is damaged."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cbmir.dicom import deflated
from cbmir.dicom.elements import end_of_meta
from cbmir.dicom.frames import find_frames
from cbmir.dicom.read import is_dicom, read_object
from cbmir.errors import BrokenFile, NotAPicture, UnsafeArchive

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)
ENCODINGS = {
    ImplicitVRLittleEndian: (True, True),
    ExplicitVRLittleEndian: (False, True),
    ExplicitVRBigEndian: (False, False),
}


def without_meta(dataset: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = ENCODINGS[syntax]
    write_dataset(stream, dataset)
    return stream.getvalue()


@pytest.mark.parametrize("syntax", [*ENCODINGS, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_encoding_is_read(make_object: Any, encode: Any, syntax: str) -> None:
    dataset = read_object(encode(make_object(PIXELS, syntax)), "a.dcm").dataset
    assert dataset.Rows == 8
    assert dataset.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("syntax", [*ENCODINGS, DeflatedExplicitVRLittleEndian])
def test_an_object_without_preamble_is_recognised(make_object: Any, encode: Any, syntax: str) -> None:
    data = encode(make_object(PIXELS, syntax))
    assert is_dicom(data[128:])
    found, whole = read_object(data[128:], "headless"), read_object(data, "whole")
    assert found.pixels.read(0) == whole.pixels.read(0)
    assert found.dataset.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("syntax", list(ENCODINGS))
def test_an_object_without_preamble_and_meta_header_is_recognised(make_object: Any, syntax: str) -> None:
    data = without_meta(make_object(PIXELS, syntax), syntax)
    assert is_dicom(data)
    dataset = read_object(data, "bare").dataset
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.Columns == 8


@pytest.mark.parametrize(
    "data",
    [b"", b"hello world, this is no picture", b"PK\3\4" + bytes(200), bytes(500), b"\x08\0" + b"x" * 300, b"DICM"],
)
def test_other_files_are_no_dicom(data: bytes) -> None:
    assert not is_dicom(data)
    with pytest.raises(NotAPicture, match=r"notes\.dcm"):
        read_object(data, "notes.dcm")


@pytest.mark.parametrize("length", [4, 300])
def test_a_count_of_bytes_that_is_not_of_four_is_no_element(length: int) -> None:
    """The compiled module of a Fortran program: a kind and a length for each of its records."""
    first = b"\x08\0\1\0" + length.to_bytes(4, "little") + b"k820309".ljust(length, b"\0")
    module = first + b"\x1b\0\0\0\2\0\0\0fn#fn\0" + bytes(200)
    assert not is_dicom(module)
    with pytest.raises(NotAPicture):
        read_object(module, "constants.mod")


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_a_deflated_object_may_keep_the_header_of_zlib(make_object: Any, encode: Any, level: int) -> None:
    whole = encode(make_object(PIXELS, DeflatedExplicitVRLittleEndian))
    start, _ = end_of_meta(whole)
    wrapped = zlib.compress(zlib.decompress(whole[start:], -zlib.MAX_WBITS), level)
    assert read_object(whole[:start] + wrapped, "a.dcm").pixels.read(0) == PIXELS.tobytes()
    with pytest.raises(BrokenFile, match="its end is missing"):
        read_object(whole[:start] + wrapped[:-5], "a.dcm")


def test_what_no_element_can_be_is_damage(make_object: Any) -> None:
    data = without_meta(make_object(PIXELS), ImplicitVRLittleEndian)
    for tag, words in ((b"\x28\x53\x2d\x20", "damaged"), (b"\x28\x00\x00\x20", "cut short")):
        with pytest.raises(BrokenFile, match=f"is {words}: element"):
            read_object(data[: data.index(b"\x28\0\x10\0")] + tag + b"\xff\xff\xff\x7f" + bytes(20), "a.dcm")


def test_the_letters_alone_are_a_broken_file() -> None:
    for data in (bytes(128) + b"DICM", bytes(128) + b"DICM" + np.random.default_rng(0).bytes(4000)):
        with pytest.raises(BrokenFile, match="noise"):
            read_object(data, "noise")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.05, 1))
def test_a_file_cut_anywhere_is_broken(make_object: Any, encode: Any, share: float) -> None:
    whole = encode(make_object(PIXELS))
    cut = whole[: min(int(share * len(whole)), len(whole) - 1)]
    if len(cut) < 132:
        return
    try:
        found = read_object(cut, "cut.dcm")
    except BrokenFile:
        return
    assert not found.keyword, "cut exactly between two elements"


def test_an_element_behind_those_of_higher_tags_is_no_remainder(make_object: Any, encode: Any) -> None:
    dataset = make_object(PIXELS)
    del dataset.PixelData
    late = b"\x08\0\x60\0CS\x04\0ECG "
    assert read_object(encode(dataset) + late, "a.dcm").dataset.Modality == "ECG"
    with pytest.raises(BrokenFile):
        read_object(encode(dataset) + late + b"\x08\0\x70\0", "a.dcm")


def test_an_element_of_a_high_tag_that_swallows_the_rest_is_no_object_without_pixels(
    make_object: Any, encode: Any
) -> None:
    """As where damage changed the tag of the pixels, or of what lies in front of them."""
    dataset = make_object(PIXELS)
    del dataset.PixelData
    swallows = b"\x00\xee\x00\xb1OB\0\0" + (10**6).to_bytes(4, "little")
    with pytest.raises(BrokenFile, match="promises 1000000 bytes and has 64"):
        read_object(encode(dataset) + swallows + bytes(64), "a.dcm")


def test_a_compressed_file_cut_in_its_pixels_is_broken() -> None:
    whole = Path(get_testdata_file("MR_small_RLE.dcm")).read_bytes()
    found = read_object(whole[:-2000], "rle.dcm")
    with pytest.raises(BrokenFile, match="cut short"):
        find_frames(found, "rle.dcm", max_pixels=10**6)


def test_padding_behind_the_pixels_may_be_cut() -> None:
    whole = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    assert read_object(whole[:-1], "ct.dcm").dataset.Rows == 128


def test_a_deflated_bomb_is_refused(make_object: Any, encode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflated, "MAX_INFLATED", 4_000_000)
    bomb = encode(make_object(np.zeros((2000, 2000), np.uint16), DeflatedExplicitVRLittleEndian))
    assert len(bomb) < 100_000
    with pytest.raises(UnsafeArchive, match=r"bomb\.dcm"):
        read_object(bomb, "bomb.dcm")


def test_a_deflated_file_that_is_cut_is_broken(make_object: Any, encode: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 999, (64, 64)).astype(np.uint16)
    whole = encode(make_object(pixels, DeflatedExplicitVRLittleEndian))
    with pytest.raises(BrokenFile, match=r"cut\.dcm"):
        read_object(whole[:-3000], "cut.dcm")


def test_sequences_nested_a_thousand_deep_are_broken_and_no_crash(make_object: Any, encode: Any) -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    nested = (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item) * 20_000
    with pytest.raises(BrokenFile, match=r"deep\.dcm .*nested too deeply"):
        read_object(encode(make_object(PIXELS, PixelData=None)) + nested, "deep.dcm")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(132, 900), st.integers(0, 255)), min_size=1, max_size=12))
def test_changed_bytes_raise_nothing_but_broken_file(
    make_object: Any, encode: Any, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(encode(make_object(PIXELS)))
    for position, value in changes:
        data[position % len(data)] = value
    with suppress(BrokenFile, NotAPicture):
        read_object(bytes(data), "changed.dcm")


def test_no_patient_is_named_in_an_error(make_object: Any, encode: Any) -> None:
    data = encode(make_object(PIXELS, PatientName="Doe^Jane", PatientID="MRN-0815"))
    with pytest.raises(BrokenFile) as caught:
        read_object(data[:-5], "a.dcm")
    assert "Doe" not in caught.value.sentence
    assert "0815" not in caught.value.sentence
