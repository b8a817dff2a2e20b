"""JPEG XL: what a frame says of itself, and what becomes of objects that hold such frames."""

from __future__ import annotations

import base64
import resource
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit

from cbmir.dicom.codestream import declared_shape, jpeg_precision, likely_syntax
from cbmir.dicom.decode import decoder_for
from cbmir.dicom.frames import find_frames
from cbmir.dicom.jpegxl import HEAD, SIGNATURE, START, Header, fault, header
from cbmir.dicom.layout import read_layout
from cbmir.dicom.octets import Octets
from cbmir.dicom.read import DicomObject
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.syntaxes import JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION, YOUNGER
from cbmir.errors import BrokenFile, Undecodable
from cbmir.services.conversion.convert import convert
from cbmir.services.conversion.isolation import Isolation
from cbmir.settings import Settings

NOISE = np.random.default_rng(2)
GREY = NOISE.integers(0, 256, (33, 47)).astype(np.uint8)
TWELVE = NOISE.integers(0, 4096, (33, 47)).astype(np.uint16)
DEEP = NOISE.integers(0, 65536, (33, 47)).astype(np.uint16)
COLOUR = NOISE.integers(0, 256, (33, 47, 3)).astype(np.uint8)
DEEP_COLOUR = NOISE.integers(0, 65536, (33, 47, 3)).astype(np.uint16)
SMOOTH = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
SMOOTH_COLOUR = np.stack([SMOOTH, SMOOTH[::-1], SMOOTH[:, ::-1]], axis=-1)


def lossless(pixels: Any, **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, **options))


def holding(make_object: Any, syntax: str, pixels: Any, *frames: bytes, **elements: Any) -> DicomObject:
    """An object of these frames, whose header describes the pixels."""
    dataset: Dataset = make_object(pixels, NumberOfFrames=len(frames), **elements)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(list(frames))
    dataset["PixelData"].VR = "OB"
    return DicomObject.in_memory(dataset)


def stored(found: DicomObject, index: int = 0) -> Any:
    return decoder_for(found, read_layout(found, "x.dcm", max_pixels=10**6), "x.dcm").frame(index, 0).values


def shown(found: DicomObject) -> Any:
    return find_frames(found, "x.dcm", max_pixels=10**6).picture(0, Rendering(side=1000)).pixels.astype(int)


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 400), columns=st.integers(1, 400), boxes=st.booleans(), colour=st.booleans())
def test_the_header_of_a_frame(rows: int, columns: int, boxes: bool, colour: bool) -> None:
    frame = lossless(np.zeros((rows, columns, 3) if colour else (rows, columns), np.uint8), usecontainer=boxes)
    assert frame.startswith(SIGNATURE if boxes else START)
    assert header(frame) == Header(rows, columns, 3 if colour else 1, 8)
    assert declared_shape(frame) == (rows, columns, 3 if colour else 1)


@pytest.mark.parametrize(
    ("pixels", "options", "samples", "bits"),
    [
        (GREY, {"lossless": True}, 1, 8),
        (TWELVE, {"lossless": True, "bitspersample": 12}, 1, 12),
        (DEEP, {"lossless": True, "bitspersample": 10}, 1, 10),
        (DEEP, {"lossless": True}, 1, 16),
        (DEEP_COLOUR, {"lossless": True}, 3, 16),
        (COLOUR, {"distance": 1.0}, 3, 8),
        (DEEP, {"distance": 1.0}, 1, 16),
    ],
)
def test_the_samples_of_a_frame(pixels: Any, options: Any, samples: int, bits: int) -> None:
    frame = bytes(imagecodecs.jpegxl_encode(pixels, **options))
    assert header(frame) == Header(33, 47, samples, bits)
    assert jpeg_precision(frame) == bits


def bits_of(*fields: tuple[int, int]) -> bytes:
    """Fields of (value, bits) as a codestream."""
    written = at = 0
    for value, bits in fields:
        written, at = written | value << at, at + bits
    return START + written.to_bytes(HEAD, "little")


SIDE_65535 = ((2, 2), (65_534, 18))


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ([(0, 1), *SIDE_65535, (0, 3), *SIDE_65535], (65_535, 65_535)),
        ([(0, 1), (3, 2), (2**30 - 1, 30), (7, 3)], (2**30, 2**31)),
        ([(0, 1), (0, 2), (299, 9), (3, 3)], (300, 400)),
        ([(1, 1), (4, 5), (0, 3), (31, 5)], (40, 256)),
        ([(1, 1), (4, 5), (5, 3)], (40, 71)),
    ],
)
def test_every_way_to_write_a_size(fields: list[tuple[int, int]], size: tuple[int, int]) -> None:
    """Metadata that say that all is as usual, and extra fields of an orientation and a size to show it in."""
    assert header(bits_of(*fields, (1, 1))) == Header(*size, 3, 8)
    extra = [(0, 1), (1, 1), (5, 3), (1, 1), (0, 1), *SIDE_65535, (1, 3), (0, 2)]
    assert header(bits_of(*fields, *extra, (0, 1), (2, 2), (1, 1), (0, 2), (0, 1), (1, 1))) == Header(*size, 3, 12)


def boxed(*contents: tuple[bytes, bytes], wide: bool = False) -> bytes:
    """Boxes of a type and contents, their length in four bytes or in eight more."""
    more = 16 if wide else 8
    lengths = [(1 if wide else len(data) + more, kind, data) for kind, data in contents]
    return SIGNATURE + b"".join(
        struct.pack(">L4s", length, kind) + (struct.pack(">Q", len(data) + more) if wide else b"") + data
        for length, kind, data in lengths
    )


@pytest.mark.parametrize("wide", [True, False])
def test_a_codestream_in_parts(wide: bool) -> None:
    frame = lossless(COLOUR)
    number = struct.pack(">L", 0)
    parts = [(b"jxlp", number + frame[:3]), (b"Exif", bytes(9)), (b"jxlp", number + frame[3:])]
    assert header(boxed((b"ftyp", bytes(12)), *parts, wide=wide)) == Header(33, 47, 3, 8)
    assert header(boxed((b"jxlc", frame), wide=wide)) == Header(33, 47, 3, 8)
    unended = SIGNATURE + struct.pack(">L4s", 0, b"jxlc") + frame
    assert header(unended) == Header(33, 47, 3, 8)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (bytes(64), "no JPEG XL"),
        (START, "how large"),
        (lossless(GREY)[:6], "how large"),
        (SIGNATURE, "in its boxes"),
        (boxed((b"ftyp", bytes(12)), (b"jxlc", b"")), "in its boxes"),
        (SIGNATURE + struct.pack(">L4s", 4, b"jxlc") + bytes(64), "in its boxes"),
        (bytes(imagecodecs.jpegxl_encode(np.zeros((9, 9), np.float32), lossless=True)), "floating"),
        (lossless(np.zeros((9, 9, 4), np.uint8)), "beside its colours"),
        (lossless(np.zeros((3, 9, 9, 3), np.uint8)), "more than one"),
        (bits_of((1, 1), (4, 5), (1, 3), (0, 1), (1, 1), (0, 3), (0, 1), (1, 1)), "more than one"),
    ],
    ids=["none", "cut", "cut later", "no boxes", "empty", "short box", "float", "alpha", "animation", "preview"],
)
def test_what_no_decoder_may_see(frame: bytes, why: str) -> None:
    assert why in fault(frame)
    assert declared_shape(frame) is None


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([START, SIGNATURE, SIGNATURE + b"\0\0\0\0jxlc" + START]))
def test_noise_is_survived(noise: bytes, start: bytes) -> None:
    assert bool(fault(start + noise)) == (declared_shape(start + noise) is None)


@pytest.mark.parametrize("syntax", [JPEG_XL_LOSSLESS, JPEG_XL])
@pytest.mark.parametrize("boxes", [True, False])
@pytest.mark.parametrize(
    "pixels", [GREY, TWELVE, DEEP, DEEP.view(np.int16), COLOUR, DEEP_COLOUR], ids=lambda each: f"{each.dtype}"
)
def test_lossless_frames_give_the_very_values(make_object: Any, syntax: str, boxes: bool, pixels: Any) -> None:
    unsigned = pixels.view(np.uint16) if pixels.dtype == np.int16 else pixels
    frame = lossless(unsigned, usecontainer=boxes)
    values = stored(holding(make_object, syntax, pixels, frame))
    assert values.dtype == pixels.dtype
    assert np.array_equal(values, pixels)


def test_twelve_bits_keep_their_sign(make_object: Any) -> None:
    """In two's complement of so many bits, as the codestream has no sign of its own."""
    signed = TWELVE.astype(np.int16) - 2048
    frame = lossless((signed & 4095).astype(np.uint16), bitspersample=12)
    found = holding(make_object, JPEG_XL_LOSSLESS, signed, frame, BitsStored=12, HighBit=11)
    assert np.array_equal(stored(found), signed)


def test_each_of_several_frames(make_object: Any) -> None:
    frames = [lossless(each) for each in (GREY, GREY[::-1], 255 - GREY)]
    found = holding(make_object, JPEG_XL_LOSSLESS, GREY, *frames)
    assert np.array_equal(stored(found, 1), GREY[::-1])
    assert np.array_equal(stored(found, 2), 255 - GREY)


@pytest.mark.parametrize(("pixels", "photometric"), [(SMOOTH, "MONOCHROME2"), (SMOOTH_COLOUR, "XYB")])
def test_lossy_frames_are_near(make_object: Any, pixels: Any, photometric: str) -> None:
    frame = bytes(imagecodecs.jpegxl_encode(pixels, distance=0.5))
    found = holding(make_object, JPEG_XL, pixels, frame, PhotometricInterpretation=photometric)
    assert np.abs(shown(found) - pixels).max() <= 8
    assert np.abs(shown(found) - pixels).mean() < 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "YBR_FULL_422", "RGB"])
def test_a_jpeg_compressed_once_more_shows_what_the_jpeg_does(make_object: Any, photometric: str) -> None:
    pixels = SMOOTH if photometric == "MONOCHROME1" else SMOOTH_COLOUR
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=80, keep_rgb=photometric == "RGB")
    jpeg = stream.getvalue()
    said = {"PhotometricInterpretation": photometric}
    before = holding(make_object, JPEGBaseline8Bit, pixels, jpeg + b"\0" * (len(jpeg) % 2), **said)
    again = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))
    assert np.array_equal(shown(holding(make_object, JPEG_XL_RECOMPRESSION, pixels, again, **said)), shown(before))
    decoded = holding(make_object, JPEG_XL, pixels, again, **said)
    assert np.abs(shown(decoded) - shown(before)).mean() < 1


@pytest.mark.parametrize("syntax", [JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION])
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422", "RGB"])
@pytest.mark.parametrize("marked", ["RGB", "JFIF", ""])
def test_colours_of_a_jpeg_within_are_converted_once(
    make_object: Any, syntax: str, photometric: str, marked: str
) -> None:
    """Whatever the header calls them, and what the JPEG itself: as if it were not compressed once more."""
    stream = BytesIO()
    Image.fromarray(SMOOTH_COLOUR).save(stream, "JPEG", quality=90, keep_rgb=marked == "RGB")
    jpeg = stream.getvalue()
    if not marked:
        jpeg = jpeg[:2] + jpeg[20:]  # without its JFIF segment
    said = {"PhotometricInterpretation": photometric}
    before = holding(make_object, JPEGBaseline8Bit, SMOOTH_COLOUR, jpeg + b"\0" * (len(jpeg) % 2), **said)
    again = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))
    found = holding(make_object, syntax, SMOOTH_COLOUR, again, **said)
    assert np.array_equal(shown(found), shown(before))


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_RCT", "XYB", "RGB"])
def test_lossless_samples_are_rgb_where_they_can_be_nothing_else(make_object: Any, photometric: str) -> None:
    """Frames have no subsampled chrominance, and decoders undo all other transformations (PS3.5 8.2.15)."""
    said = {"PhotometricInterpretation": photometric}
    assert np.array_equal(shown(holding(make_object, JPEG_XL_LOSSLESS, COLOUR, lossless(COLOUR), **said)), COLOUR)


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_frame_without_the_jpeg_it_should_have_is_decoded(make_object: Any, pixels: Any) -> None:
    assert np.array_equal(stored(holding(make_object, JPEG_XL_RECOMPRESSION, pixels, lossless(pixels))), pixels)


def test_luminance_and_chrominance_kept_without_loss_are_still_such(make_object: Any) -> None:
    frame = lossless(COLOUR)
    native = DicomObject.in_memory(make_object(COLOUR, PhotometricInterpretation="YBR_FULL"))
    found = holding(make_object, JPEG_XL_LOSSLESS, COLOUR, frame, PhotometricInterpretation="YBR_FULL")
    assert np.array_equal(shown(found), shown(native))


def test_the_orientation_is_left_to_the_object(make_object: Any) -> None:
    """As that of a JPEG, which recompression takes over from its Exif data."""
    stream, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(SMOOTH).save(stream, "JPEG", quality=95, exif=exif)
    frame = bytes(imagecodecs.jpegxl_encode_jpeg(stream.getvalue()))
    assert imagecodecs.jpegxl_decode(frame).shape == SMOOTH.T.shape
    found = holding(make_object, JPEG_XL_RECOMPRESSION, SMOOTH, frame)
    assert np.abs(shown(found) - SMOOTH).max() <= 3


def test_a_frame_that_promises_too_much_is_refused_before_it_is_decoded(make_object: Any) -> None:
    frame = bits_of((0, 1), *SIDE_65535, (0, 3), *SIDE_65535, (1, 1))
    with pytest.raises(BrokenFile, match="33 x 47 pixels, but its frame 1 is 65535 x 65535"):
        stored(holding(make_object, JPEG_XL, COLOUR, frame))
    bits = bits_of((1, 1), (4, 5), (1, 3), (0, 3), (3, 2), (31, 6), (0, 4), (1, 1))
    with pytest.raises(BrokenFile, match="more than 16 bits"):
        stored(holding(make_object, JPEG_XL, np.zeros((40, 40, 3), np.uint8), bits))


@pytest.mark.parametrize(
    "frame",
    [lossless(GREY)[:-20], lossless(GREY, usecontainer=True)[:200], lossless(GREY)[:40] + bytes(400)],
    ids=["cut", "cut in its box", "overwritten"],
)
def test_a_damaged_frame_says_so(make_object: Any, frame: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Undecodable, match=r"x\.dcm .* JPEG XL Lossless .*: frame 1 is damaged"):
        stored(holding(make_object, JPEG_XL_LOSSLESS, GREY, frame))
    assert capfd.readouterr() == ("", "")


def test_pictures_that_are_no_frames_of_an_object_say_why(make_object: Any) -> None:
    several = lossless(np.stack([COLOUR] * 3))
    with pytest.raises(Undecodable, match="frame 1 holds more than one picture"):
        stored(holding(make_object, JPEG_XL, COLOUR, several))


@pytest.mark.parametrize("syntax", YOUNGER)
def test_objects_in_syntaxes_younger_than_pydicom_are_written_and_named(
    make_object: Any, encode: Any, syntax: str
) -> None:
    dataset = make_object(GREY)
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.PixelData = encapsulate([lossless(GREY)])
    dataset["PixelData"].VR = "OB"
    assert dcmread(BytesIO(encode(dataset))).file_meta.TransferSyntaxUID.name == YOUNGER[UID(syntax)]


@pytest.mark.parametrize("boxes", [True, False])
def test_the_only_frame_may_lack_the_items_around_it(make_object: Any, boxes: bool) -> None:
    frame = lossless(GREY, usecontainer=boxes)
    found = holding(make_object, JPEG_XL_LOSSLESS, GREY, frame)
    bare = replace(found, pixels=Octets.of(frame))
    assert np.array_equal(stored(bare), GREY)


@pytest.mark.parametrize("boxes", [True, False])
def test_the_frame_tells_its_compression(boxes: bool) -> None:
    assert likely_syntax(lossless(GREY, usecontainer=boxes)[:64]) == JPEG_XL


MOSAIC = zlib.decompress(
    base64.b85decode("c-s5V^^cK(fvM?{8;{l;<vGp_3=#~ez=45f6pf-$L?guDEzvF7#K=4fMgawYgM|@TbVJe-0Eg{d5&")
)
"""1,493 bytes: 64 x 64 pixels, and in front of them a picture of 6,000 x 6,000 that they might be pasted from."""


def test_a_picture_put_together_from_larger_ones_has_so_much_memory(make_object: Any, encode: Any) -> None:
    assert header(MOSAIC) == Header(64, 64, 1, 8)
    pixels = np.zeros((64, 64), np.uint8)
    dataset = make_object(pixels)
    dataset.file_meta.TransferSyntaxUID = JPEG_XL
    dataset.PixelData = encapsulate([MOSAIC + b"\0" * (len(MOSAIC) % 2)])
    dataset["PixelData"].VR = "OB"
    with Isolation(1) as apart:
        why, megabytes = apart.run("x.dcm", 0, tried, encode(dataset))
        assert "frame 1 is damaged or of a kind not supported" in why
        assert megabytes < 400
        dataset.PixelData = encapsulate([lossless(pixels)])
        assert apart.run("x.dcm", 0, tried, encode(dataset))[0] == ""


def tried(data: bytes) -> tuple[str, float]:
    """Why it is not converted, empty if it is; and the most megabytes that the process ever had."""
    limits, why = resource.getrlimit(resource.RLIMIT_DATA), ""
    try:
        convert(data, "x.dcm", Settings(), "0" * 64)
    except Undecodable as error:
        why = error.reason
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits
    return why, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
