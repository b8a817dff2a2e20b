"""Pixels that are not where, or not what, their header says: read where they leave no doubt, else named."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from cbmir.dicom.frames import find_frames
from cbmir.dicom.read import DicomObject, read_object
from cbmir.dicom.rendering import Rendering
from cbmir.errors import BrokenFile, NoPixels, Undecodable

SMOOTH = np.add.outer(np.arange(40), np.arange(50)).astype(np.uint16)
COLOURS = np.stack([SMOOTH, SMOOTH[::-1], SMOOTH + 100], axis=-1).astype(np.uint8)
WHOLE = Rendering(side=1000, window=(44.5, 89))


def picture(found: DicomObject) -> Any:
    return find_frames(found, "x.dcm", max_pixels=10**6).picture(0, WHOLE).pixels.astype(int)


def even(frame: bytes) -> bytes:
    return frame + b"\0" * (len(frame) % 2)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize(
    "frame",
    [
        imagecodecs.jpeg2k_encode(SMOOTH, codecformat="J2K", level=0),
        imagecodecs.jpegls_encode(SMOOTH),
        imagecodecs.jpeg8_encode(SMOOTH, lossless=True, bitspersample=16),
    ],
    ids=["JPEG 2000", "JPEG-LS", "lossless JPEG"],
)
def test_a_frame_may_lie_where_uncompressed_pixels_are_promised(
    make_object: Any, encode: Any, syntax: UID, frame: bytes
) -> None:
    meant = picture(read_object(encode(make_object(SMOOTH, syntax)), "x.dcm"))
    found = read_object(encode(make_object(SMOOTH, syntax, PixelData=even(frame))), "x.dcm")
    assert np.array_equal(picture(found), meant)


def test_its_colours_are_those_that_it_marks(make_object: Any, encode: Any) -> None:
    frame = imagecodecs.jpeg8_encode(COLOURS, level=98, subsampling="444")
    dataset = make_object(COLOURS, PixelData=even(frame))
    assert dataset.PhotometricInterpretation == "RGB"
    assert np.abs(picture(read_object(encode(dataset), "x.dcm")) - COLOURS).max() < 8


def test_uncompressed_pixels_may_begin_as_a_frame_does(make_object: Any) -> None:
    frame = np.frombuffer(imagecodecs.jpegls_encode(SMOOTH), np.uint8)
    pixels = np.resize(frame, (16, len(frame) // 16))
    frames = find_frames(DicomObject.in_memory(make_object(pixels)), "x.dcm", max_pixels=10**6)
    assert np.array_equal(frames.decoder.frame(0, 0).values, pixels)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000, JPEGLSLossless])
def test_uncompressed_frames_may_lie_where_compressed_ones_are_promised(
    make_object: Any, encode: Any, syntax: UID
) -> None:
    pixels = np.stack([SMOOTH, SMOOTH[::-1]]).astype("<u2")
    items = encapsulate([each.tobytes() for each in pixels])
    data = encode(make_object(SMOOTH, syntax, PixelData=items, NumberOfFrames=2))
    frames = find_frames(read_object(data, "x.dcm"), "x.dcm", max_pixels=10**6)
    assert [np.array_equal(frames.decoder.frame(index, 0).values, pixels[index]) for index in (0, 1)] == [True] * 2


@pytest.mark.parametrize("change", [{"Rows": 39}, {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}])
def test_they_are_refused_where_they_leave_a_doubt(make_object: Any, encode: Any, change: dict[str, Any]) -> None:
    shape = (40, 50, 3) if "SamplesPerPixel" in change else (40, 50)
    items = encapsulate([bytes(int(np.prod(shape)))])
    data = encode(make_object(SMOOTH.astype(np.uint8), JPEGBaseline8Bit, PixelData=items, **change))
    with pytest.raises(Undecodable, match="no JPEG codestream"):
        picture(read_object(data, "x.dcm"))


def test_another_file_in_place_of_pixels_is_named(make_object: Any) -> None:
    dataset = make_object(SMOOTH, PixelData=even(imagecodecs.png_encode(SMOOTH)))
    with pytest.raises(BrokenFile, match="and holds a PNG file"):
        picture(DicomObject.in_memory(dataset))


def with_private_pixels(dataset: Dataset, **elements: Any) -> Dataset:
    """The object, its pixels moved to where some scanners of Philips write them."""
    block = dataset.private_block(0x07A1, "ELSCINT1", create=True)
    for name, value in elements.items():
        block.add_new({"pixels": 0x0A, "named": 0x11}[name], "OB" if name == "pixels" else "CS", value)
    del dataset.PixelData
    return dataset


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("named", "said"), [("PMSCT_RLE1", "PMSCT_RLE1"), ("DOE JANE", "no known name"), (None, "no known name")]
)
def test_pixels_in_a_private_element_are_told_from_none(
    make_object: Any, encode: Any, syntax: UID, named: str | None, said: str
) -> None:
    elements = {"named": named} if named else {}
    dataset = with_private_pixels(make_object(SMOOTH, syntax), pixels=bytes(100), **elements)
    with pytest.raises(Undecodable, match=f"private element.*{said}") as caught:
        picture(read_object(encode(dataset), "x.dcm"))
    assert "DOE" not in caught.value.reason


def test_other_private_elements_are_no_pixels(make_object: Any, encode: Any) -> None:
    dataset = with_private_pixels(make_object(SMOOTH), named="PMSCT_RLE1")
    with pytest.raises(NoPixels):
        picture(read_object(encode(dataset), "x.dcm"))
