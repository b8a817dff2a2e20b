"""Damaged and hostile compressed frames: refused in words, quickly, and without ending the process."""

from __future__ import annotations

import struct
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    HEVCMP51,
    MPEG2MPML,
    MPEG4HP41F,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MPEGTransferSyntaxes,
    RLELossless,
)

from cbmir.dicom import jpeg2000
from cbmir.dicom.codecs import RETIRED
from cbmir.dicom.decode import decoder_for
from cbmir.dicom.frames import find_frames
from cbmir.dicom.layout import read_layout
from cbmir.dicom.read import DicomObject, read_object
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.syntaxes import DEFLATED_FRAMES, UNCOMPRESSED_IN_ITEMS
from cbmir.errors import BrokenFile, Undecodable, UnusableInput

COLOURS = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)


def runs(cells: Any) -> bytes:
    """Bytes as RLE that repeats none of them (PS3.5 G.3.1)."""
    data = cells.astype(np.uint8).tobytes()
    parts = [data[at : at + 128] for at in range(0, len(data), 128)]
    packed = b"".join(bytes([len(each) - 1]) + each for each in parts)
    return packed + b"\0" * (len(packed) % 2)


def compressed(make_object: Any, frame: bytes, syntax: str, pixels: Any, **elements: Any) -> Dataset:
    """The object with its pixels replaced by one compressed frame."""
    dataset: Dataset = make_object(pixels, **elements)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    return dataset


def shown(dataset: Dataset) -> Any:
    """The first picture, in [0, 1]."""
    frames = find_frames(DicomObject.in_memory(dataset), "x.dcm", max_pixels=10**6)
    return frames.picture(0, Rendering(side=10_000)).pixels / np.float32(255)


def rle(segments: list[bytes], count: int | None = None, offsets: list[int] | None = None) -> bytes:
    """An RLE frame; `count` and `offsets` lie where they are given."""
    starts = list(64 + np.cumsum([0, *(len(each) for each in segments)])[:-1])
    header = [len(segments) if count is None else count, *(starts if offsets is None else offsets)]
    return struct.pack("<16L", *(header + [0] * (16 - len(header)))) + b"".join(segments)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_the_photometric_interpretation_says_what_a_jpeg_holds(make_object: Any, photometric: str) -> None:
    """Three components without a marker of their own: the header decides whether they are YBR."""
    stream = BytesIO()
    Image.fromarray(COLOURS).save(stream, "JPEG", quality=98, subsampling=0, keep_rgb=photometric == "RGB")
    dataset = compressed(
        make_object, stream.getvalue(), JPEGBaseline8Bit, COLOURS, PhotometricInterpretation=photometric
    )
    np.testing.assert_allclose(shown(dataset), COLOURS / 255, atol=0.06)


GREY = np.random.default_rng(1).integers(0, 4096, (33, 47)).astype(np.uint16)


@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_selection_value_of_lossless_jpeg(make_object: Any, predictor: int) -> None:
    frame = imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=predictor, bitspersample=16)
    found = compressed(make_object, frame, JPEGLossless, GREY)
    assert np.array_equal(stored(found), GREY)


def lossless_jpeg(pixels: Any, names: bytes) -> bytes:
    """A frame of lossless JPEG without a mark of its colours but the three components' names."""
    frame = bytearray(imagecodecs.jpeg8_encode(pixels, lossless=True, colorspace="RGB", outcolorspace="RGB"))
    start, scan = frame.index(b"\xff\xc3"), frame.index(b"\xff\xda")
    frame[start + 10 : start + 19 : 3] = frame[scan + 5 : scan + 11 : 2] = names
    bare = bytes(frame[:2] + frame[18:])  # Adobe's segment tells too
    return bare + b"\0" * (len(bare) % 2)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("names", [b"RGB", b"\1\2\3"], ids=["RGB", "numbers"])
def test_lossless_jpeg_has_the_colours_that_the_header_says(
    make_object: Any, syntax: str, photometric: str, names: bytes
) -> None:
    """No transformation is in its frames, whatever their components are called (PS3.5 8.2.1)."""
    whole = "YBR_FULL" if photometric.startswith("YBR") else "RGB"
    native = make_object(COLOURS, PhotometricInterpretation=whole)
    frame = lossless_jpeg(COLOURS, names)
    found = compressed(make_object, frame, syntax, COLOURS, PhotometricInterpretation=photometric)
    assert np.array_equal(stored(found), COLOURS)
    assert np.array_equal(shown(found), shown(native))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", level=0)),
        (JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="JP2", level=0)),
        (HTJ2KLossless, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
        (HTJ2KLosslessRPCL, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
        (DEFLATED_FRAMES, lambda pixels: zlib.compress(pixels.tobytes(), wbits=-15)),
    ],
)
def test_lossless_syntaxes_give_the_very_values(make_object: Any, syntax: str, encode: Any) -> None:
    assert np.array_equal(stored(compressed(make_object, encode(GREY), syntax, GREY)), GREY)


@pytest.mark.parametrize("bits", [8, 12])
def test_extended_jpeg_is_near(make_object: Any, bits: int) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16 if bits > 8 else np.uint8)
    frame = imagecodecs.jpeg8_encode(smooth, level=98, bitspersample=bits)
    found = compressed(make_object, frame, JPEGExtended12Bit, smooth, BitsStored=bits, HighBit=bits - 1)
    assert np.abs(stored(found).astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("syntax", RETIRED)
def test_progressive_jpeg_of_retired_syntaxes_is_near(make_object: Any, syntax: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(smooth).save(stream, "JPEG", quality=98, progressive=True)
    found = compressed(make_object, stream.getvalue(), syntax, smooth)
    assert np.abs(stored(found).astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("shape", [(16, 24), (7, 9)])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (RLELossless, lambda packed: rle([bytes([len(packed) - 1]) + packed])),
        (DEFLATED_FRAMES, lambda packed: zlib.compress(packed, wbits=-15)),
    ],
)
def test_compressed_frames_of_single_bits(
    make_object: Any, syntax: str, encode: Any, shape: tuple[int, int]
) -> None:
    mask = np.random.default_rng(3).integers(0, 2, shape).astype(np.uint8)
    frame = encode(np.packbits(mask, bitorder="little").tobytes())
    found = compressed(make_object, frame, syntax, mask, BitsAllocated=1, BitsStored=1, HighBit=0)
    assert np.array_equal(stored(found), mask)
    short = compressed(make_object, encode(b"\x0f\xf0"), syntax, mask, BitsAllocated=1, BitsStored=1, HighBit=0)
    with pytest.raises(Undecodable, match="frame 1 is damaged"):
        stored(short)


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEG2000Lossless, imagecodecs.jpeg2k_encode(GREY, codecformat="J2K", level=0)),
        (JPEGLSLossless, imagecodecs.jpegls_encode(GREY)),
        (JPEGLossless, imagecodecs.jpeg8_encode(GREY, lossless=True, bitspersample=16)),
    ],
)
def test_the_only_frame_may_lack_the_items_around_it(
    make_object: Any, encode: Any, syntax: str, frame: bytes
) -> None:
    dataset = compressed(make_object, frame, syntax, GREY)
    data = encode(dataset)
    bare = frame + b"\0" * (len(frame) % 2)
    length = data.index(dataset.PixelData) - 4
    found = read_object(data[:length] + struct.pack("<L", len(bare)) + bare, "x")
    decoder = decoder_for(found, read_layout(found, "x", max_pixels=10**6), "x")
    assert np.array_equal(decoder.frame(0, 0).values, GREY)


@pytest.mark.parametrize(
    "frame",
    [
        imagecodecs.jpeg2k_encode(GREY, codecformat="J2K", level=0),
        imagecodecs.jpegls_encode(GREY),
        imagecodecs.jpeg8_encode(GREY, lossless=True, bitspersample=16),
        rle([runs(GREY >> 8), runs(GREY & 255)]),
    ],
    ids=["JPEG 2000", "JPEG-LS", "lossless JPEG", "RLE"],
)
@pytest.mark.parametrize("named", [True, False])
def test_the_frame_tells_a_compression_that_nothing_names(
    make_object: Any, encode: Any, frame: bytes, named: bool
) -> None:
    data = encode(compressed(make_object, frame + b"\0" * (len(frame) % 2), RLELossless, GREY))
    uncompressed = data.replace(RLELossless.encode(), ExplicitVRLittleEndian.encode())
    found = read_object(uncompressed if named else data[data.index(b"\x08\0\x16\0") :], "x")
    decoder = decoder_for(found, read_layout(found, "x", max_pixels=10**6), "x")
    assert np.array_equal(decoder.frame(0, 0).values, GREY)


def test_comments_behind_the_data_of_a_jpeg_2000_frame_are_passed_over(make_object: Any) -> None:
    """Kakadu has filled up codestreams with them in front of their end; where data end is told by their lengths."""
    frame = bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="J2K", level=0))
    assert frame.endswith(b"\xff\xd9")
    assert jpeg2000.uncommented(frame) == frame
    comment = b"\xff\x64\0\x0b\0\1PADDING"
    padded = frame[:-2] + comment * 3 + frame[-2:]
    assert jpeg2000.uncommented(padded) == frame
    odd = b"\0" * (len(padded) % 2)
    assert np.array_equal(stored(compressed(make_object, padded + odd, JPEG2000Lossless, GREY)), GREY)
    for damaged in (padded[:-2], padded[:-5], b"", frame[:60]):
        assert jpeg2000.uncommented(damaged) == damaged


def test_a_jpeg_2000_frame_says_how_many_bytes_it_lacks(make_object: Any) -> None:
    """Writers that promise too much have been seen; whether bytes were lost instead, nothing tells."""
    frame = bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="J2K", level=0))
    assert jpeg2000.missing(frame) == 0
    part = frame.index(b"\xff\x90") + 6
    promised = int.from_bytes(frame[part : part + 4], "big")
    more = frame[:part] + (promised + 1000).to_bytes(4, "big") + frame[part + 4 :]
    lacking = jpeg2000.missing(more)
    assert lacking == 1000 - len(b"\xff\xd9")
    odd = len(frame) % 2
    with pytest.raises(Undecodable, match=f"frame 1 promises {lacking - odd} bytes more than it has"):
        stored(compressed(make_object, more + b"\0" * odd, JPEG2000Lossless, GREY))


def test_a_tile_cut_at_the_edge_of_a_slide_is_made_whole(make_object: Any) -> None:
    """By its last row and column: a black border would look like something."""
    frames = [bytes(imagecodecs.jpegls_encode(each)) for each in (GREY, np.ascontiguousarray(GREY[:20, :30]))]
    dataset = compressed(make_object, frames[0], JPEGLSLossless, GREY, NumberOfFrames=2)
    dataset.PixelData = encapsulate([each + b"\0" * (len(each) % 2) for each in frames])
    with pytest.raises(BrokenFile, match="frame 2 is 20 x 30"):
        stored(dataset, 1)
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = 33, 77
    assert np.array_equal(stored(dataset, 0), GREY)
    assert np.array_equal(stored(dataset, 1), np.pad(GREY[:20, :30], ((0, 13), (0, 17)), mode="edge"))


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PlanarConfiguration": 1},
        {"PhotometricInterpretation": "YBR_FULL"},
        {"PhotometricInterpretation": "YBR_FULL_422"},
    ],
    ids=["RGB", "planes", "YBR", "4:2:2"],
)
def test_uncompressed_frames_in_items_of_their_own(make_object: Any, elements: dict[str, Any]) -> None:
    half = 2 if elements.get("PhotometricInterpretation") == "YBR_FULL_422" else 3
    frames = [each.tobytes()[: COLOURS.size // 3 * half] for each in (COLOURS, 255 - COLOURS)]
    native = make_object(COLOURS, NumberOfFrames=2, **elements)
    native.PixelData = b"".join(frames)
    found = compressed(make_object, frames[0], UNCOMPRESSED_IN_ITEMS, COLOURS, NumberOfFrames=2, **elements)
    found.PixelData = encapsulate(frames)
    for index in (0, 1):
        assert np.array_equal(stored(found, index), stored(native, index))
    found.PixelData = encapsulate([frames[0], frames[1][:-2]])
    with pytest.raises(BrokenFile, match="promises 1 frame"):
        stored(found, 1)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.52", MPEG2MPML, MPEG4HP41F, HEVCMP51])
def test_what_is_not_read_is_named(make_object: Any, syntax: str) -> None:
    found = compressed(make_object, bytes(64), syntax, COLOURS)
    if syntax in MPEGTransferSyntaxes:
        found.PhotometricInterpretation = "YBR_PARTIAL_420"
    what = "is video" if syntax in MPEGTransferSyntaxes else "is stored in the transfer syntax"
    with pytest.raises(Undecodable, match=rf"^x {what} .*{UID(syntax).name[:5]}.*{syntax}.* not read here"):
        stored(found)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    ("photometric", "syntax", "said"),
    [
        ("HSV", JPEGLSLossless, "not read here: HSV"),
        ("DOE JANE", JPEGLSLossless, "not read here: none of the standard's"),
        ("RGB", "DOE^JANE", "what is no transfer syntax"),
    ],
)
def test_no_value_is_quoted_that_may_be_a_name(make_object: Any, photometric: str, syntax: str, said: str) -> None:
    found = compressed(make_object, bytes(64), syntax, COLOURS)
    found.PhotometricInterpretation = photometric
    with pytest.raises(Undecodable, match=said) as refused:
        stored(found)
    assert "DOE" not in refused.value.sentence


def test_jpeg_ls_padded_in_front_of_its_end_mark(make_object: Any) -> None:
    frame = imagecodecs.jpegls_encode(GREY)
    assert frame.endswith(b"\xff\xd9")
    found = compressed(make_object, frame[:-2] + b"\0\xff\xd9", JPEGLSLossless, GREY)
    assert np.array_equal(stored(found), GREY)


def stored(dataset: Dataset, index: int = 0) -> Any:
    """The stored values of a frame."""
    found = DicomObject.in_memory(dataset)
    return decoder_for(found, read_layout(found, "x", max_pixels=10**6), "x").frame(index, 0).values


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "SC_rgb_rle_16bit.dcm", "rtdose_rle_1frame.dcm"])
def test_rle_gives_what_pydicom_gives(name: str) -> None:
    theirs = dcmread(get_testdata_file(name)).pixel_array
    found = read_object(Path(get_testdata_file(name)).read_bytes(), name)
    ours = decoder_for(found, read_layout(found, name, max_pixels=10**6), name).frame(0, 0)
    assert np.array_equal(ours.values, theirs)


@pytest.mark.parametrize(
    "frame",
    [
        b"\1\0\0\0",
        rle([b"\x3f" * 10], count=0),
        rle([b"\x3f" * 10], count=2),
        rle([b"\x3f" * 10], count=2**31),
        rle([b"\x3f" * 10], offsets=[2**31]),
        rle([b"\x3f" * 10], offsets=[0]),
        rle([b"\x3f" * 10], offsets=[74]),
        rle([b"\x81\x07"]),
    ],
)
def test_a_senseless_rle_frame_is_refused(
    make_object: Any, frame: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((Undecodable, BrokenFile), match=r"x\.dcm"):
        shown(compressed(make_object, frame, RLELossless, np.zeros((20, 20), np.uint8)))
    assert capfd.readouterr() == ("", "")


def test_an_rle_segment_that_goes_on_is_cut_where_the_picture_ends(make_object: Any) -> None:
    frame = rle([b"\x81\x07" * 1000])
    assert np.unique(
        shown(compressed(make_object, frame, RLELossless, np.zeros((20, 20), np.uint8)))
    ) == np.float32(7 / 255)


def test_a_jpeg_ls_frame_of_seventeen_bits_is_refused_at_once(make_object: Any) -> None:
    """Found by changing bytes at random: CharLS computed for ten seconds before it refused."""
    frame = bytes.fromhex(
        "ffd8fff7001108000a000a03011100021100031100ffda000c0301000200030000020001596657ff"
    ).replace(b"\x00\x11\x08", b"\x00\x11\x11")
    began = time.process_time()
    with pytest.raises(BrokenFile, match="16 bits"):
        shown(compressed(make_object, frame, JPEGLSLossless, np.zeros((10, 10, 3), np.uint8)))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("JPGExtended.dcm", JPEGExtended12Bit),
        ("SC_rgb_jpeg_gdcm.dcm", JPEGLosslessSV1),
        ("MR_small_RLE.dcm", RLELossless),
    ],
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_give_a_picture_or_a_reason(
    name: str, syntax: str, changes: list[tuple[int, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = dcmread(get_testdata_file(name))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    frame = bytearray(get_frame(dataset.PixelData, 0, number_of_frames=1))
    for position, value in changes:
        frame[position % len(frame)] = value
    dataset.PixelData = encapsulate([bytes(frame)])
    try:
        assert np.isfinite(shown(dataset)).all()
    except UnusableInput as error:
        assert "x.dcm" in error.reason  # noqa: PT017 either outcome is right
    assert capfd.readouterr() == ("", "")
