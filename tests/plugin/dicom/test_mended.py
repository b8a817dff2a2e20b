"""A header with a slip that leaves no doubt about the rest is read, and it is said so; any other is refused."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from struct import pack, unpack_from

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cbmir.dicom import mended, read
from cbmir.dicom.elements import ITEM, end_of_meta
from cbmir.dicom.read import read_object
from cbmir.errors import BrokenFile, NoPixels
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings
from cbmir.types import Picture

ENCODINGS = {
    ExplicitVRLittleEndian: (False, True),
    ImplicitVRLittleEndian: (True, True),
    ExplicitVRBigEndian: (False, False),
}
BLANKS = (b"  ", b"\0\0", b"??")
SHORT, LONG = (0x0009, 0x1027), (0x0043, 0x1028)
"""Private elements of the slice, whose lengths take two bytes, and four."""


@pytest.fixture
def slice_of_ct() -> FileDataset:
    return dcmread(get_testdata_file("CT_small.dcm"))


def written(dataset: FileDataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian)
    return stream.getvalue()


def first_picture(data: bytes) -> Picture:
    return convert(data, "slip.dcm", Settings(), "").pictures[0]


def assert_read(data: bytes, said: str) -> None:
    """The picture is that of the whole slice, and what was mended comes first among its steps."""
    whole = first_picture(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    found = first_picture(data)
    assert np.array_equal(found.pixels, whole.pixels)
    assert said in found.steps[0]
    assert found.steps[1:] == whole.steps


def with_representation(data: bytes, group: int, element: int, code: bytes) -> bytes:
    tag = pack("<HH", group, element)
    at = data.index(tag)
    assert data[at + 4 : at + 6].isalpha()
    return data[: at + 4] + code + data[at + 6 :]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("tag", [(2, 0x0010), (8, 0x0005), (0x0028, 0x0010), (0x0028, 0x1052), SHORT, LONG])
def test_an_element_without_a_value_representation_is_read(
    slice_of_ct: FileDataset, tag: tuple[int, int], blank: bytes
) -> None:
    data = with_representation(written(slice_of_ct), *tag, blank)
    assert_read(data, f"element ({tag[0]:04X},{tag[1]:04X}) has no value representation")


def test_a_sequence_without_a_value_representation_and_length_is_read(slice_of_ct: FileDataset) -> None:
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    slice_of_ct.ReferencedImageSequence = [item]
    slice_of_ct["ReferencedImageSequence"].is_undefined_length = True
    data = with_representation(written(slice_of_ct), 0x0008, 0x1140, b"  ")
    assert_read(data, "element (0008,1140) has no value representation")


@pytest.mark.parametrize(("sign", "padding"), [(1, -2000), (0, 63536)])
def test_pixel_representation_tells_whether_a_blank_number_has_a_sign(
    slice_of_ct: FileDataset, sign: int, padding: int
) -> None:
    """US or SS, by the dictionary: -2000 and 63536 are the same two bytes."""
    slice_of_ct.PixelRepresentation = sign
    slice_of_ct.add_new((0x0028, 0x0120), "SS" if sign else "US", padding)
    data = with_representation(written(slice_of_ct), 0x0028, 0x0120, b"  ")
    found = read_object(data, "slip.dcm")
    assert found.dataset.PixelPaddingValue == padding
    assert found.mended == ("header mended: element (0028,0120) has no value representation",)


@pytest.mark.parametrize("sign", [None, 7])
def test_without_a_pixel_representation_nothing_is_guessed(slice_of_ct: FileDataset, sign: int | None) -> None:
    slice_of_ct.PixelRepresentation = sign
    data = with_representation(written(slice_of_ct), 0x0028, 0x0120, b"  ")
    with pytest.raises(BrokenFile, match=r"slip\.dcm"):
        first_picture(data)


def with_sequence(dataset: FileDataset, tag: tuple[int, int], syntax: str) -> tuple[bytes, int]:
    """The slice with a sequence of two items, and where its length stands."""
    items = Dataset(), Dataset()
    for number, item in enumerate(items):
        item.Modality, item.InstanceNumber = "CT", number
    dataset.add_new(tag, "SQ", Sequence(items))
    data = written(dataset, syntax)
    head = pack("<HH", *tag) + (b"" if syntax == ImplicitVRLittleEndian else b"SQ\0\0")
    return data, data.index(head) + len(head)


def with_number(data: bytes, at: int, number: int) -> bytes:
    return data[:at] + pack("<L", number) + data[at + 4 :]


@pytest.mark.parametrize("wrong", [-14, -8, -6, 2, 8, 100, 1_000_000])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("tag", [(0x0009, 0x1099), (0x0043, 0x1099), (0x0008, 0x1140), (0x0028, 0x3010)])
def test_a_sequence_of_a_wrong_length_is_measured(
    slice_of_ct: FileDataset, tag: tuple[int, int], syntax: str, wrong: int
) -> None:
    data, at = with_sequence(slice_of_ct, tag, syntax)
    (length,) = unpack_from("<L", data, at)
    assert_read(with_number(data, at, length + wrong), f"take {length} bytes, not {length + wrong}")


def enhanced(dataset: FileDataset, syntax: str) -> tuple[bytes, int]:
    """The slice with a window and a slope in functional groups, and where the length of the shared ones stands."""
    public = Dataset({tag: element for tag, element in dataset.items() if not tag.is_private})
    window, slope, shared = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 100, 300
    slope.RescaleSlope, slope.RescaleIntercept = 2, -1000
    shared.FrameVOILUTSequence, shared.PixelValueTransformationSequence = [window], [slope]
    public.SharedFunctionalGroupsSequence = [shared]
    public.file_meta = dataset.file_meta
    data = written(FileDataset("", public, file_meta=dataset.file_meta, preamble=bytes(128)), syntax)
    return data, data.index(pack("<HH", 0x5200, 0x9229)) + (4 if syntax == ImplicitVRLittleEndian else 8)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_sequence_that_ends_within_its_items_loses_none_of_them(slice_of_ct: FileDataset, syntax: str) -> None:
    """pydicom takes what is left for elements of the object, and finds its pixels behind them."""
    data, at = enhanced(slice_of_ct, syntax)
    (length,) = unpack_from("<L", data, at)
    whole = first_picture(data)
    for wrong in (*range(0, length, 2), length + 8):
        found = first_picture(with_number(data, at, wrong))
        assert "items of (5200,9229)" in found.steps[0]
        assert np.array_equal(found.pixels, whole.pixels)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("empty", [False, True])
def test_an_item_outside_of_a_sequence_is_refused(slice_of_ct: FileDataset, syntax: str, empty: bool) -> None:
    """Two lengths are wrong, or all, and nobody can tell what belongs where."""
    data, at = with_sequence(slice_of_ct, (0x0008, 0x1140), syntax)
    (length,) = unpack_from("<L", data, at)
    slip = with_number(with_number(data, at, 0), at + 8, length - 8)
    if empty:
        slip = with_number(data, at, 0).replace(ITEM + data[at + 8 : at + 12], ITEM + bytes(4))
    with pytest.raises(BrokenFile, match=r"slip\.dcm is damaged: an item"):
        first_picture(slip)


def test_tags_out_of_order_are_no_slip(slice_of_ct: FileDataset) -> None:
    data = written(slice_of_ct)
    row, column = (data.index(pack("<HH", 0x0028, element)) for element in (0x0010, 0x0011))
    swapped = data[:row] + data[column : column + 10] + data[row : row + 10] + data[column + 10 :]
    assert first_picture(swapped).steps == first_picture(data).steps


def test_an_overlay_without_a_value_representation_is_read(slice_of_ct: FileDataset) -> None:
    """Its group is one of several, 60xx, which the dictionary has once for all (PS3.6 6)."""
    slice_of_ct.add_new(0x60020010, "US", 16)
    slice_of_ct.add_new(0x60020011, "US", 8)
    slice_of_ct.add_new(0x60023000, "OW", bytes(16))
    plain = written(slice_of_ct)
    for element in (0x0010, 0x3000):
        found = first_picture(with_representation(plain, 0x6002, element, b"  "))
        assert found.steps[0] == f"header mended: element (6002,{element:04X}) has no value representation"
        assert found.steps[1:] == first_picture(plain).steps


@pytest.mark.parametrize("syntax", list(ENCODINGS))
def test_a_single_pixel_at_the_end_is_found(slice_of_ct: FileDataset, syntax: str) -> None:
    """Of an implicit object that leaves ten bytes, fewer than an explicit element's head."""
    slice_of_ct.Rows = slice_of_ct.Columns = 1
    slice_of_ct.PixelData = b"\1\2"
    del slice_of_ct[0xFFFCFFFC]
    assert first_picture(in_encoding(slice_of_ct, syntax, syntax)).pixels.shape == (1, 1)


def test_a_sequence_whose_items_are_wrong_too_is_refused(slice_of_ct: FileDataset) -> None:
    data, at = with_sequence(slice_of_ct, (0x0009, 0x1099), ExplicitVRLittleEndian)
    for slip in (with_number(data, at + 8, 3), with_number(data, at + 8, 100_000)):
        with pytest.raises(BrokenFile, match=r"slip\.dcm"):
            first_picture(with_number(slip, at, 1000))


def test_a_header_full_of_slips_is_refused(slice_of_ct: FileDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    slips = with_representation(written(slice_of_ct), 0x0028, 0x0010, b"  ")
    slips = with_representation(slips, 0x0028, 0x1052, b"  ")
    assert len(first_picture(slips).steps) == 2 + len(first_picture(written(slice_of_ct)).steps)
    monkeypatch.setattr(mended, "MOST", 1)
    with pytest.raises(BrokenFile, match=r"slip\.dcm"):
        first_picture(slips)


def in_encoding(dataset: FileDataset, syntax: str, named: str) -> bytes:
    """The slice in one transfer syntax, its meta header naming another."""
    public = Dataset({tag: element for tag, element in dataset.items() if not tag.is_private})
    if syntax == ExplicitVRBigEndian:
        public.PixelData = dataset.pixel_array.byteswap().tobytes()
    elements = DicomBytesIO()
    elements.is_implicit_VR, elements.is_little_endian = ENCODINGS[syntax]
    write_dataset(elements, public)
    stream = BytesIO()
    dataset.file_meta.TransferSyntaxUID = named
    write_file_meta_info(stream, dataset.file_meta)
    return bytes(128) + b"DICM" + stream.getvalue() + elements.getvalue()


@pytest.mark.parametrize("named", [*ENCODINGS, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("syntax", list(ENCODINGS))
def test_a_dataset_in_another_encoding_than_its_meta_header_says_is_read(
    slice_of_ct: FileDataset, syntax: str, named: str
) -> None:
    data = in_encoding(slice_of_ct, syntax, named)
    if ExplicitVRBigEndian in (syntax, named) and syntax != named:
        assert_read(data, f"read as {UID(syntax).name}, not as {UID(named).name}")
    assert np.array_equal(first_picture(data).pixels, first_picture(written(slice_of_ct)).pixels)


def deflated(data: bytes) -> bytes:
    start = end_of_meta(data)[0]
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    uid = DeflatedExplicitVRLittleEndian.encode()
    meta = data[:start].replace(pack("<H", 20) + b"1.2.840.10008.1.2.1\0", pack("<H", len(uid)) + uid)
    return meta + packer.compress(data[start:]) + packer.flush()


def test_a_deflated_header_is_mended_too(slice_of_ct: FileDataset) -> None:
    data = with_representation(written(slice_of_ct), 0x0028, 0x0010, b"  ")
    assert_read(deflated(data), "element (0028,0010) has no value representation")
    assert (
        read_object(deflated(data), "slip.dcm").dataset.file_meta.TransferSyntaxUID
        == DeflatedExplicitVRLittleEndian
    )


def bare(dataset: Dataset, syntax: str) -> bytes:
    """The public elements of a dataset, which has a long Image Type, with DICM in it where a preamble would end."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", *["DICMDICMDICM"] * 9]
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = ENCODINGS[syntax]
    write_dataset(stream, Dataset({tag: element for tag, element in dataset.items() if not tag.is_private}))
    data = stream.getvalue()
    return data[:128] + b"DICM" + data[132:]


@pytest.mark.parametrize("syntax", list(ENCODINGS))
def test_a_bare_dataset_may_have_the_letters_where_a_preamble_would_end(
    slice_of_ct: FileDataset, syntax: str
) -> None:
    if syntax == ExplicitVRBigEndian:
        slice_of_ct.PixelData = slice_of_ct.pixel_array.byteswap().tobytes()
    assert_read(bare(slice_of_ct, syntax), "without a preamble")


@pytest.mark.parametrize("syntax", list(ENCODINGS))
def test_a_bare_dataset_without_pixels_may_have_them_too(slice_of_ct: FileDataset, syntax: str) -> None:
    del slice_of_ct.PixelData, slice_of_ct.DataSetTrailingPadding
    data = bare(slice_of_ct, syntax)
    with pytest.raises(NoPixels, match="CT Image Storage"):
        first_picture(data)
    found = read_object(data, "slip.dcm")
    assert found.mended == ("read without a preamble: DICM is part of a value",)
    assert found.dataset.file_meta.TransferSyntaxUID == syntax
    with pytest.raises(BrokenFile, match="cut short"):
        read_object(data[:-2], "slip.dcm")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_bare_recording_may_have_them_too(syntax: str) -> None:
    ecg = Path(get_testdata_file("waveform_ecg.dcm")).read_bytes()
    data = bare(dcmread(BytesIO(ecg)), syntax)
    assert np.array_equal(first_picture(data).pixels, first_picture(ecg).pixels)


def test_a_preamble_may_begin_as_a_dataset_does(slice_of_ct: FileDataset) -> None:
    data = b"\x08\0\5\0" + written(slice_of_ct)[4:]
    assert np.array_equal(first_picture(data).pixels, first_picture(written(slice_of_ct)).pixels)
    del slice_of_ct.PixelData, slice_of_ct.DataSetTrailingPadding
    with pytest.raises(NoPixels):
        first_picture(b"\x08\0\5\0" + written(slice_of_ct)[4:])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_preamble_may_be_missing(slice_of_ct: FileDataset, syntax: str) -> None:
    data = written(slice_of_ct, syntax)[128:]
    assert_read(data, "without a preamble")
    with pytest.raises(BrokenFile, match="cut short"):
        read_object(data[:-200], "slip.dcm")


def test_it_may_be_missing_before_a_deflated_object(slice_of_ct: FileDataset) -> None:
    assert_read(deflated(written(slice_of_ct))[128:], "without a preamble")


def test_it_may_be_missing_without_pixels_too(slice_of_ct: FileDataset) -> None:
    del slice_of_ct.PixelData, slice_of_ct.DataSetTrailingPadding
    with pytest.raises(NoPixels, match="CT Image Storage"):
        first_picture(written(slice_of_ct)[128:])


def test_it_may_be_missing_with_another_slip(slice_of_ct: FileDataset) -> None:
    data = with_representation(written(slice_of_ct), 0x0028, 0x0010, b"  ")[128:]
    steps = first_picture(data).steps
    assert "without a preamble" in steps[0]
    assert "element (0028,0010) has no value representation" in steps[1]


def test_a_large_one_is_read_where_it_lies(slice_of_ct: FileDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(slice_of_ct)[128:]
    monkeypatch.setattr(read, "MAX_INFLATED_HEADER", len(data) - 1)
    assert_read(data, "without a preamble")
    del slice_of_ct.PixelData, slice_of_ct.DataSetTrailingPadding
    without = written(slice_of_ct)[128:]
    monkeypatch.setattr(read, "MAX_INFLATED_HEADER", len(without) - 1)
    with pytest.raises(BrokenFile, match="no preamble"):
        read_object(without, "slip.dcm")


def test_nothing_is_mended_in_a_sound_file(slice_of_ct: FileDataset) -> None:
    assert not any("mended" in step for step in first_picture(written(slice_of_ct)).steps)
