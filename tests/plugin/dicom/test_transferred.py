"""Objects that were transferred as text are refused and named; none in good order is taken for one."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from cbmir.dicom.frames import Frames, find_frames
from cbmir.dicom.read import read_object
from cbmir.errors import BrokenFile, NoPixels

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
RETURNED = np.full((4, 4), 0x0A0D, np.uint16)
"""Pixels that are a carriage return and a line feed each."""


def frames_of(data: bytes) -> Frames:
    return find_frames(read_object(data, "x.dcm"), "x.dcm", max_pixels=10**6)


def as_text(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_that_outgrew_their_length_are_no_picture(make_object: Any, encode: Any, syntax: UID) -> None:
    whole = encode(make_object(RAMP, syntax, SOPInstanceUID="1.2.3"))
    start = len(whole) - RAMP.nbytes
    assert b"\n" not in whole[:start], "the header is as it was"
    assert frames_of(whole).count == 1
    with pytest.raises(BrokenFile, match="transferred as text") as caught:
        frames_of(as_text(whole))
    assert "binary" in caught.value.remedy


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_it_is_said_of_a_header_that_is_damaged_by_it(make_object: Any, encode: Any, syntax: UID) -> None:
    dataset = make_object(RAMP, syntax, SpecificCharacterSet="ISO_IR 100", StudyID="ten digits")
    with pytest.raises(BrokenFile, match="transferred as text"):
        frames_of(as_text(encode(dataset)))


def test_it_is_said_where_the_pixels_are_lost_by_it(make_object: Any, encode: Any) -> None:
    """A length of ten becomes one of 2573, which takes in the few pixels and what follows them."""
    dataset = make_object(RETURNED, StudyID="ten digits", PatientComments="\n" * 2600)
    with pytest.raises(BrokenFile, match="transferred as text"):
        frames_of(as_text(encode(dataset)))


def test_it_is_said_of_compressed_pixels(make_object: Any, encode: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    frames = [imagecodecs.jpegls_encode(noise)] * 2
    dataset = make_object(noise, JPEGLSLossless, PixelData=encapsulate(frames), NumberOfFrames=2)
    with pytest.raises(BrokenFile, match="transferred as text"):
        frames_of(as_text(encode(dataset)))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("behind", [0, 8, 100], ids=str)
def test_pixels_may_be_carriage_returns_and_line_feeds(
    make_object: Any, encode: Any, syntax: UID, behind: int
) -> None:
    data = encode(make_object(RETURNED, syntax, SOPInstanceUID="1.2.3", PixelData=b"\r\n" * 16))
    assert data.count(b"\n") == 16
    assert frames_of(data + bytes(behind)).count == 1


def test_an_element_may_follow_as_many(make_object: Any, encode: Any) -> None:
    dataset = make_object(RETURNED, SOPInstanceUID="1.2.3", DataSetTrailingPadding=bytes(4))
    data = encode(dataset)
    assert data[-16:].startswith(b"\xfc\xff\xfc\xff"), "as many bytes as line feeds"
    assert frames_of(data).count == 1


def test_a_report_may_have_many_lines(make_object: Any, encode: Any) -> None:
    dataset = make_object(RETURNED, SOPInstanceUID="1.2.3", PixelData=None, ImageComments="line\r\n" * 20)
    dataset.SOPClassUID = BasicTextSRStorage
    data = encode(dataset)
    assert data.count(b"\n") == 20
    with pytest.raises(NoPixels, match="Basic Text SR"):
        frames_of(data)
