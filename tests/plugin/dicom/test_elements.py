"""A header read by its bytes is what pydicom reads; and so are single values, or they are left to it."""

from __future__ import annotations

import struct
import warnings
from functools import reduce
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from cbmir.dicom import raw
from cbmir.dicom.elements import DEEPEST, END_OF_SEQUENCE, ITEM, plain_header

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CORPUS = Path(__file__).resolve().parents[4] / "shared" / "dicom"
SEQUENCE, ENDLESS = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff", b"\0\0\xff\xff\xff\xff"
RAMP = (np.arange(24 * 20).reshape(24, 20) % 251).astype(np.uint8)


def assert_same(ours: Dataset, known: Dataset) -> None:
    """The same elements but private ones; those that pydicom has looked at already are not raw any more."""
    assert set(ours.keys()) == {tag for tag in known.keys() if not tag.is_private}  # noqa: SIM118 `in` sorts
    read = {tag for tag, each in known.items() if not (isinstance(each, RawDataElement) or tag.is_private)}
    for tag in ours.keys() - read:
        each, other = (some.get_item(tag, keep_deferred=True) for some in (ours, known))
        assert each._replace(value=each.value or None) == other._replace(value=other.value or None)
    assert [ours[tag] for tag in read] == [known[tag] for tag in read]


def is_as_pydicom(data: bytes) -> bool:
    """Compare a header with what pydicom reads; whether there was anything to compare."""
    if (plain := plain_header(memoryview(data))) is None:
        return False
    stream = BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = dcmread(stream, stop_before_pixels=True)
        assert_same(plain[0], known)
        assert_same(plain[0].file_meta, known.file_meta)
    assert plain[0].original_encoding == known.original_encoding
    assert plain[1] == stream.tell()
    return True


def test_the_header_of_every_file_is_what_pydicom_reads() -> None:
    assert sum(is_as_pydicom(path.read_bytes()) for path in sorted(FILES.rglob("*.dcm"))) > 40


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the folder ../shared")
def test_the_header_of_the_corpus_is_what_pydicom_reads() -> None:
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file())[::5]
    assert sum(is_as_pydicom(path.read_bytes()) for path in files) > len(files) / 3


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2.1"])
def test_each_encoding_is_read_by_its_bytes(make_object: Any, encode: Any, syntax: str) -> None:
    assert is_as_pydicom(encode(make_object(RAMP, syntax, WindowCenter=[40, 50], StudyDescription="")))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2.1"])
@pytest.mark.parametrize("endless_items", [True, False])
def test_sequences_of_undefined_length_are_what_pydicom_reads(
    make_object: Any, encode: Any, syntax: str, endless_items: bool
) -> None:
    inner = nested(Dataset(), endless_items, CodeValue="T-D3000", PixelSpacing=[1, 2])
    outer = nested(make_object(RAMP, syntax), endless_items, OtherPatientIDsSequence=[inner, Dataset()])
    private = outer.private_block(0x2005, "US", create=True)
    private.add_new(1, "SQ", [inner])
    private[1].is_undefined_length = True
    assert is_as_pydicom(encode(outer)) == (syntax != ExplicitVRBigEndian)


INSIDE = b"\xfe\xff\0\xe0\x12\0\0\0" + b"\x08\0\x55\x11\x0a\0\0\0" + b"1.2.3.4.5\0"
"""An item of a Referenced SOP Instance UID, implicit and little endian."""


@pytest.mark.parametrize("tag", [0x00082112, 0x00091001])
def test_what_a_sender_did_not_know_is_a_sequence_in_its_own_encoding(
    make_object: Any, encode: Any, tag: int
) -> None:
    """Of representation UN and undefined length; PS3.5 6.2.2."""
    for syntax, order in ((ExplicitVRBigEndian, ">"), ("1.2.840.10008.1.2.1", "<")):
        whole = encode(make_object(RAMP, syntax))
        at = whole.index(struct.pack(order + "HH", 0x0028, 0x0002))
        head = struct.pack(order + "HH2sHL", tag >> 16, tag & 0xFFFF, b"UN", 0, 0xFFFFFFFF)
        data = whole[:at] + head + INSIDE + END_OF_SEQUENCE + whole[at:]
        found = plain_header(memoryview(data))
        assert found is not None
        assert found[0].Rows == RAMP.shape[0]
        assert tag == 0x00091001 or found[0][tag].value[0].ReferencedSOPInstanceUID == "1.2.3.4.5"
        assert order == ">" or is_as_pydicom(data)


def nested(dataset: Dataset, endless_items: bool = True, **elements: Any) -> Dataset:
    """The dataset with a sequence of undefined length around its own one, or around some elements."""
    within = Dataset()
    within.update(elements)
    if "ReferencedSeriesSequence" in dataset:
        within.ReferencedSeriesSequence = dataset.ReferencedSeriesSequence
        within["ReferencedSeriesSequence"].is_undefined_length = True
    within.is_undefined_length_sequence_item = endless_items
    dataset.ReferencedSeriesSequence = [within]
    dataset["ReferencedSeriesSequence"].is_undefined_length = True
    return dataset


def test_what_is_unusual_is_left_to_pydicom(make_object: Any, encode: Any) -> None:
    whole = encode(make_object(RAMP))
    at = whole.index(b"\x28\0\x02\0US")
    unusual = {
        "no preamble": whole[132:],
        "cut short": whole[:at] + whole[at : at + 9],
        "no pixels": whole[: whole.index(b"\xe0\x7f\x10\0")],
        "out of order": whole[:at] + b"\x08\0\x60\0CS\2\0CT" + whole[at:],
        "twice": whole[:at] + whole[at : at + 10] + whole[at:],
        "no such representation": whole[:at] + b"\x28\0\x02\0us\2\0\1\0" + whole[at + 10 :],
        "undefined length": whole[:at] + b"\x27\0\2\0OB" + ENDLESS + END_OF_SEQUENCE + whole[at:],
        "delimiter with a length": whole[:at] + SEQUENCE + END_OF_SEQUENCE[:4] + b"\1\0\0\0" + whole[at:],
        "no delimiter": whole[:at] + SEQUENCE + ITEM + b"\0\0\0\0" + whole[at:],
        "item cut short": whole[:at] + SEQUENCE + ITEM + b"\xff\xff\0\0" + END_OF_SEQUENCE + whole[at:],
        "item of too little": whole[:at] + SEQUENCE + ITEM + b"\4\0\0\0" + whole[at : at + 10] + whole[at:],
        "item without an end": whole[:at] + SEQUENCE + ITEM + ENDLESS[2:] + END_OF_SEQUENCE + whole[at:],
        "an item's character sets": encode(nested(make_object(RAMP), SpecificCharacterSet=["ISO_IR 100"] * 200)),
        "too deep": encode(reduce(lambda each, _: nested(each), range(DEEPEST + 1), make_object(RAMP))),
        "deflated": encode(make_object(RAMP, DeflatedExplicitVRLittleEndian)),
        "explicit after all": whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0"),
        "character sets": encode(make_object(RAMP, SpecificCharacterSet=["ISO_IR 100"] * 200)),
    }
    assert [why for why, data in unusual.items() if plain_header(memoryview(data)) is not None] == []


def element(vr: str | None, value: bytes, tag: int = 0x00280010) -> RawDataElement:
    return RawDataElement(Tag(tag), vr, len(value), value, 0, vr is None, True)


def by_pydicom(given: RawDataElement) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Dataset({given.tag: given})[given.tag].value
    return list(found) if not isinstance(found, str | bytes) and hasattr(found, "__iter__") else [found]


NEARLY = st.text("0123456789.+-eE \\\0", max_size=12) | st.text(max_size=9)


@given(vr=st.sampled_from(["CS", "DA", "UI", "LO"]), text=NEARLY)
def test_text_is_what_pydicom_makes_of_it(vr: str, text: str) -> None:
    given = element(vr, text.encode("utf-8"))
    if (found := raw.text(given)) is not None:
        several = [str(each).strip("\0 ") for each in by_pydicom(given)]
        assert found == several[0]
        assert raw.texts(given) == several


@given(vr=st.sampled_from(["DS", "IS", "US", "SS", "FD"]), text=NEARLY)
def test_numbers_are_what_pydicom_makes_of_them(vr: str, text: str) -> None:
    given = element(vr, text.encode("utf-8"))
    if (found := raw.numbers(given)) is not None:
        assert [*found] == [float(each) for each in by_pydicom(given)]


@pytest.mark.parametrize(
    ("given", "text", "numbers"),
    [
        (element("CS", b"ORIGINAL\\PRIMARY "), "ORIGINAL", None),
        (element("UI", b"1.2.840\0"), "1.2.840", None),
        (element("LO", b"a\\b"), None, None),
        (element("LO", b"M\xfcller"), None, None),
        (element("DS", b" 0.5\\-1e2 "), None, [0.5, -100.0]),
        (element("DS", b"0.5\\"), None, None),
        (element("DS", b"-1024,5\\0,25 "), None, [-1024.5, 0.25]),
        (element("DS", b"0.5,0.25"), None, None),
        (element("DS", b"1,024.5"), None, None),
        (element("IS", b"12 "), None, [12]),
        (element("IS", b"1.5"), None, [1.5]),
        (element("IS", b"4,0\\3,0"), None, [4.0, 3.0]),
        (element("IS", b"1,024.5"), None, None),
        (element("US", b"\2\1"), None, [258]),
        (element(None, b"\2\1"), None, [258]),
        (element("UN", b"\2\1"), None, [258]),
        (element("US", b"\2\1\0\0"), None, None),
        (element("DS", b"1\\" * 200 + b"1"), None, None),
        (element("CS", b""), None, None),
        (None, None, None),
    ],
)
def test_what_leaves_a_doubt_is_left_to_pydicom(given: Any, text: str | None, numbers: Any) -> None:
    assert raw.text(given) == text
    assert raw.numbers(given) == numbers
