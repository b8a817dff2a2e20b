"""A wrong length anywhere in a sequence of which values are taken gives the same picture, or is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from struct import pack, unpack_from
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cbmir.errors import BrokenFile
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings
from cbmir.types import Picture

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
ITEM = pack("<HH", 0xFFFE, 0xE000)


def of(**elements: Any) -> Dataset:
    """An item."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def functional_groups() -> dict[str, list[Dataset]]:
    """A window for all frames, between other things, and a slope for the only one."""
    position = of(PlanePositionSequence=[of(ImagePositionPatient=[0, 0, 0])])
    position.FrameVOILUTSequence = [of(WindowCenter=100, WindowWidth=300, WindowCenterWidthExplanation="A")]
    position.PixelMeasuresSequence = [of(PixelSpacing=[1, 2])]
    slope = of(PixelValueTransformationSequence=[of(RescaleIntercept=-1000, RescaleSlope=2, RescaleType="HU")])
    return {"SharedFunctionalGroupsSequence": [position], "PerFrameFunctionalGroupsSequence": [slope]}


def table(first: int) -> Dataset:
    item = of(LUTExplanation="A")
    item.add_new("LUTDescriptor", "US", [64, first, 16])
    item.add_new("LUTData", "OW", bytes(range(128)))
    return item


def look_up_tables() -> dict[str, list[Dataset]]:
    return {"VOILUTSequence": [table(100), table(200)]}


def modality_table() -> dict[str, list[Dataset]]:
    item = table(100)
    item.ModalityLUTType = "US"
    return {"ModalityLUTSequence": [item]}


CONTENTS = (functional_groups, look_up_tables, modality_table)


def encoded(elements: dict[str, list[Dataset]], syntax: str, *, endless: str = "") -> bytes:
    """A part of a slice with sequences; `endless` are its sequences, or its items, of undefined length."""
    whole = dcmread(get_testdata_file("CT_small.dcm"))
    pixels = whole.pixel_array[40:56, 40:56]
    public = Dataset({tag: whole[tag] for tag in whole.keys() if tag.group in (0x0008, 0x0028)})  # noqa: SIM118
    del public.RescaleSlope, public.RescaleIntercept
    public.Rows = public.Columns = 16
    public.PixelData = (pixels.byteswap() if syntax == ExplicitVRBigEndian else pixels).tobytes()
    for keyword, items in elements.items():
        setattr(public, keyword, items)
    for each in every_sequence(public):
        each.is_undefined_length = endless == "sequences"
        for item in each.value:
            item.is_undefined_length_sequence_item = endless == "items"
    whole.file_meta.TransferSyntaxUID = syntax
    meta, stream = BytesIO(), DicomBytesIO()
    write_file_meta_info(meta, whole.file_meta)
    stream.is_implicit_VR, stream.is_little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    write_dataset(stream, public)
    return bytes(128) + b"DICM" + meta.getvalue() + stream.getvalue()


def every_sequence(dataset: Dataset) -> Iterator[Any]:
    return (each for each in dataset.iterall() if each.VR == "SQ")


def lengths(data: bytes, syntax: str) -> list[tuple[int, int]]:
    """Where the known lengths of items and of their sequences stand, and what they are."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    item, found = pack(order + "HH", 0xFFFE, 0xE000), []
    heads = [at for at in range(len(data)) if data[at : at + 4] == item]
    sequences = [at for at in heads if b"SQ" in data[at - 8 : at - 6] or syntax == ImplicitVRLittleEndian]
    for at in [each + 4 for each in heads] + [each - 4 for each in sequences]:
        (length,) = unpack_from(order + "L", data, at)
        found += [(at, length)] * (0 < length < 1000)
    return found


def slips(data: bytes, syntax: str) -> Iterator[bytes]:
    """The file with one wrong length of an item or a sequence: each that is even, to a bit above what it is."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    for at, length in lengths(data, syntax):
        for wrong in {*range(0, length + 18, 2)} - {length}:
            yield data[:at] + pack(order + "L", wrong) + data[at + 4 :]


def first_picture(data: bytes) -> Picture:
    return convert(data, "slip.dcm", Settings(), "").pictures[0]


def made_of(data: bytes, whole: Picture) -> str:
    """What becomes of a slip."""
    try:
        found = first_picture(data)
    except BrokenFile:
        return "refused"
    is_same = np.array_equal(found.pixels, whole.pixels)
    return "same" if is_same else "another"


@pytest.mark.parametrize("endless", ["", "sequences", "items"])
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("content", CONTENTS)
def test_no_wrong_length_changes_the_picture(
    content: Callable[[], dict[str, list[Dataset]]], syntax: str, endless: str
) -> None:
    data = encoded(content(), syntax, endless=endless)
    whole = first_picture(data)
    assert any("LUT of 64" in step or "times 2" in step for step in whole.steps)
    outcomes = Counter(made_of(each, whole) for each in slips(data, syntax))
    assert outcomes["another"] == 0
    assert outcomes.total() > 80


def test_the_reason_names_file_and_sequence() -> None:
    data = encoded(look_up_tables(), ExplicitVRLittleEndian)
    at = data.index(ITEM) + 4
    (length,) = unpack_from("<L", data, at)
    with pytest.raises(BrokenFile, match=r"slip\.dcm is damaged: the items of its VOILUTSequence"):
        first_picture(data[:at] + pack("<L", length - 2) + data[at + 4 :])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_delimiters_within_known_lengths_do_no_harm(syntax: str) -> None:
    """Both the item and the sequence have one, and count it."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = encoded(modality_table(), syntax)
    at = data.index(pack(order + "HH", 0xFFFE, 0xE000))
    (length,) = unpack_from(order + "L", data, at + 4)
    behind = at + 8 + length
    ends = pack(order + "HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    lengths = pack(order + "L4sL", length + 24, data[at : at + 4], length + 8)
    found = first_picture(data[: at - 4] + lengths + data[at + 8 : behind] + ends + data[behind:])
    assert found.steps == first_picture(data).steps


def test_other_encodings_and_private_elements_within_items_do_no_harm() -> None:
    """Writers are known to copy items as they are; of private ones nobody reads anything."""
    data = encoded(modality_table(), ExplicitVRLittleEndian)
    inside = encoded(modality_table(), ImplicitVRLittleEndian)
    private = pack("<HHL", 0x3001, 0x1010, 12) + ITEM + pack("<L", 77) + b"\1\2\3\4"
    start, within = data.index(ITEM), inside.index(ITEM)
    before, length = (unpack_from("<L", some, at + 4)[0] for some, at in ((data, start), (inside, within)))
    item = inside[within + 8 : within + 8 + length] + private
    head = pack("<L4sL", len(item) + 8, ITEM, len(item))
    found = first_picture(data[: start - 4] + head + item + data[start + 8 + before :])
    assert found.steps == first_picture(data).steps


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_value_within_an_item_may_be_of_undefined_length(syntax: str) -> None:
    """Its end is marked (PS3.5 7.5.2); without the mark the item does not fit."""
    content = look_up_tables()
    for item in content["VOILUTSequence"]:
        item["LUTData"].is_undefined_length = True
    data = encoded(content, syntax)
    assert first_picture(data).steps == first_picture(encoded(look_up_tables(), syntax)).steps
    mark = pack(">HHL" if syntax == ExplicitVRBigEndian else "<HHL", 0xFFFE, 0xE0DD, 0)
    assert data.count(mark) == 2
    with pytest.raises(BrokenFile):
        first_picture(data.replace(mark, bytes(8)))


def test_sequences_that_nobody_reads_may_be_damaged() -> None:
    data = encoded({"SourceImageSequence": [of(ReferencedSOPInstanceUID="1.2.3.4")]}, ExplicitVRLittleEndian)
    at = data.index(ITEM) + 4
    assert first_picture(data[:at] + pack("<L", 4) + data[at + 4 :]).steps == first_picture(data).steps
