"""What fuzzing and hostile construction found, each as small as it gets: refused in words, soon, and for little."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from cbmir.dicom import read
from cbmir.dicom.choice import LIMIT, limit
from cbmir.dicom.jpeg2000 import bare, fault, start_of
from cbmir.dicom.palette import MAX_ENTRIES
from cbmir.dicom.watched import explodes
from cbmir.errors import BrokenFile, ImplausibleSize, Undecodable, UnsafeArchive, UnusableInput
from cbmir.services.conversion.convert import convert
from cbmir.services.conversion.isolation import Isolation
from cbmir.settings import Settings

RAMP = (np.arange(24 * 20).reshape(24, 20) % 251).astype(np.uint8)
ITEM, END_OF_SEQUENCE = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
SOON = 10.0
"""Seconds of CPU, well above what a refusal takes and well below what these took."""


def converted(data: bytes, **settings: Any) -> list[Any]:
    return [each.pixels for each in convert(data, "x.dcm", Settings(**settings), "0" * 64).pictures]


@pytest.fixture
def wrap(make_object: Any, encode: Any) -> Callable[..., bytes]:
    """The file around compressed frames: `wrap(syntax, frames, pixels, **elements)`."""

    def wrap(syntax: str, frames: list[bytes], pixels: Any = RAMP, **elements: Any) -> bytes:
        dataset: Dataset = make_object(pixels, NumberOfFrames=len(frames), **elements)
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.PixelData = encapsulate([each + b"\0" * (len(each) % 2) for each in frames])
        dataset["PixelData"].VR = "OB"
        data: bytes = encode(dataset)
        return data

    return wrap


def j2k(
    rows: int, columns: int, *, tile: tuple[int, int] | None = None, layers: int = 1, precinct: int | None = None,
    block: int = 6, kinds: bytes = b"\7\1\1", data: bytes = b"",
) -> bytes:  # fmt: skip
    """The headers of a JPEG 2000 codestream without decomposition, and `data` instead of a picture."""
    height, width = tile or (rows, columns)
    size = struct.pack(
        ">HHLLLLLLLLH", 38 + len(kinds), 0, columns, rows, 0, 0, width, height, 0, 0, len(kinds) // 3
    )
    style = struct.pack(">BBHBBBBBB", precinct is not None, 0, layers, 0, 0, block - 2, block - 2, 0, 1)
    style += b"" if precinct is None else bytes([precinct])
    parts = (b"\xff\x4f\xff\x51", size, kinds, b"\xff\x52", struct.pack(">H", len(style) + 2), style)
    quantisation, part = b"\xff\x5c\0\4\x40\x40", b"\xff\x90\0\x0a\0\0\0\0\0\0\0\1\xff\x93"
    return b"".join(parts) + quantisation + part + data + b"\xff\xd9"


@pytest.mark.parametrize("syntax", [HTJ2K, HTJ2KLossless, JPEG2000])
def test_a_tile_without_width_does_not_end_the_process(wrap: Any, syntax: str) -> None:
    """Fuzzing: OpenJPH divides by it, and the process got SIGFPE."""
    frame = bytearray(imagecodecs.htj2k_encode(RAMP, reversible=True))
    assert frame[24:28] == struct.pack(">L", 20)
    frame[24:28] = bytes(4)
    with pytest.raises(Undecodable, match="tiles"):
        converted(wrap(syntax, [bytes(frame)]))


def test_a_damaged_htj2k_frame_gives_no_memory_that_nobody_wrote(
    wrap: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Fuzzing: imagecodecs prints OpenJPH's error and gives the array as it was made."""
    frame = bytearray(imagecodecs.htj2k_encode(RAMP, reversible=True))
    frame[-3] = 0xFF
    with pytest.raises(Undecodable, match=r"x\.dcm"):
        converted(wrap(HTJ2KLossless, [bytes(frame)]))
    assert capfd.readouterr() == ("", "")


def test_a_strange_quantisation_does_not_end_the_process(wrap: Any) -> None:
    """Fuzzing: one changed byte of QCD, and OpenJPH calls a function that is not there: SIGSEGV."""
    pixels = (np.arange(24 * 20).reshape(24, 20) * 8 - 900).astype(np.int16)
    frame = bytearray(imagecodecs.htj2k_encode(pixels, reversible=False))
    frame[80] = 0xFE
    for syntax in (HTJ2K, HTJ2KLossless):
        with suppress(UnusableInput):
            assert len(converted(wrap(syntax, [bytes(frame)], pixels))) == 1


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (j2k(7000, 7000, precinct=0), "blocks"),
        (j2k(7000, 7000, block=2), "blocks"),
        (j2k(7000, 7000, precinct=0x77, layers=65_535), "packets"),
        (j2k(7000, 7000, tile=(32, 32)), "tiles"),
        (j2k(7000, 7000, kinds=b"\7\2\2"), "components"),
        (j2k(7000, 7000, tile=(0, 7000)), "components"),
        (j2k(7000, 7000).replace(b"\xff\x5c\0\4", b"\xff\x30\0\4"), "damaged"),
        (j2k(7000, 7000).replace(b"\xff\x52\0\x0c", b"\xff\x64\0\x0c"), "coded"),
    ],
)
def test_a_short_jpeg_2000_frame_does_not_fill_the_memory(wrap: Any, frame: bytes, words: str) -> None:
    """Made: a frame of eighty bytes cost OpenJPEG up to 16 GB, and a minute before it was refused."""
    assert words in fault(frame)
    began = time.process_time()
    with pytest.raises(Undecodable, match=words):
        converted(wrap(JPEG2000, [frame], RAMP, Rows=7000, Columns=7000))
    assert time.process_time() - began < SOON


def test_a_style_in_front_of_a_tile_counts_too() -> None:
    """A tile-part may have its own coding style; one that claims to end within itself is passed only once."""
    frame = j2k(7000, 7000)
    style = frame[frame.index(b"\xff\x52") : frame.index(b"\xff\x5c")].replace(b"\4\4\0\1", b"\0\0\0\1")
    assert not fault(frame)
    assert "blocks" in fault(frame.replace(b"\xff\x93", style + b"\xff\x93"))
    assert fault(frame.replace(b"\0\x0a\0\0\0\0\0\0", b"\0\x0a\0\0\0\0\0\x0e") + b"\xff\x93" * 9) in (
        "",
        "has a header that is damaged",
    )


def box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">L4s", 8 + len(contents), kind) + contents


@pytest.mark.parametrize("hidden_by", [bytes(600), j2k(24, 20)])
def test_the_boxes_of_a_jp2_file_do_not_hide_its_size(wrap: Any, hidden_by: bytes) -> None:
    """Made: the size was looked for in the first 512 bytes; OpenJPEG found another behind them, and took 2 GB."""
    large = bytes(imagecodecs.jpeg2k_encode(np.zeros((2000, 2000), np.uint8), codecformat="jp2"))
    at = large.index(b"jp2c") - 4
    frame = large[:at] + box(b"free", hidden_by) + large[at:]
    with pytest.raises(BrokenFile, match="2000 x 2000"):
        converted(wrap(JPEG2000, [frame]))


def test_a_jp2_file_is_read_for_its_codestream() -> None:
    inner = bytes(imagecodecs.jpeg2k_encode(RAMP, codecformat="j2k"))
    signature = box(b"jP  ", b"\r\n\x87\n")
    wide = struct.pack(">L4sQ", 1, b"jp2c", 16 + len(inner)) + inner
    for frame in (inner, signature + box(b"jp2c", inner), signature + box(b"ftyp", bytes(12)) + wide):
        assert bare(frame) == inner
    for frame in (b"", signature, signature + box(b"jp2c", b"no"), signature + bytes(40), b"x" + inner):
        assert start_of(frame) == -1
        assert bare(frame) == frame


def test_garbage_between_jpeg_segments_does_not_hide_its_size(wrap: Any) -> None:
    """Made: libjpeg passes over it, and made room for 16,384 x 16,384 pixels of a picture of 24 x 20."""
    frame = bytes(imagecodecs.jpeg8_encode(np.zeros((2000, 2000), np.uint8)))
    for garbage in (b"\0\0", b"\xff\x01", b"\xff\xd0", b"\xff\0"):
        with pytest.raises(Undecodable, match="how large"):
            converted(wrap(JPEGBaseline8Bit, [frame[:2] + garbage + frame[2:]]))


def test_a_jpeg_of_a_thousand_scans_is_refused(wrap: Any) -> None:
    """Made: each scan of a few bytes is a pass over all pixels, up to fifty million."""
    frame = bytes(imagecodecs.jpeg8_encode(RAMP))
    with pytest.raises(Undecodable, match="1001 scans"):
        converted(wrap(JPEGBaseline8Bit, [frame[:-2] + b"\xff\xda\0\x08\1\1\0\0\0\0" * 1000 + frame[-2:]]))


def test_a_jpeg_ls_frame_whose_run_lengths_run_away_is_given_up(wrap: Any) -> None:
    """Fuzzing: CharLS counts 2**31 bits that are not there, which takes ten seconds, and cannot be told before."""
    frame = bytes.fromhex(
        "ffd8ffe800205350494646000200000100000018000000140a1006010000012c0000012cffe8000800000001ffd8fff7000b1000180014"
        "01011100fff8000d01ffff0018004d01220040ffda0008010100020000a07018380c1c0c18302180c1c0c183021860a04120a0a1428504"
    )
    task = (wrap(JPEGLSLossless, [frame], RAMP.astype(np.uint16)), "x.dcm", Settings(), "0" * 64)
    # a fast machine ends the count in time, and says then what is wrong with it
    refusal = r"x\.dcm (kept its decoder computing|is stored in .*: frame 1 is damaged)"
    with Isolation(1) as apart, pytest.raises(Undecodable, match=refusal) as caught:
        apart.run("x.dcm", len(task[0]), convert, *task)
    assert caught.value.remedy


def flooded(make_object: Any, encode: Any, flood: bytes, syntax: str, tag: bytes) -> bytes:
    """An object with bytes put in front of its first element of that tag."""
    data: bytes = encode(make_object(RAMP, syntax))
    at = data.index(tag)
    return data[:at] + flood + data[at:]


def test_a_million_empty_items_are_refused(make_object: Any, encode: Any) -> None:
    """Made: ten megabytes of them took 24 s and 0.9 GB, since each is a dataset."""
    sequence = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + (ITEM + bytes(4)) * 1_000_000 + END_OF_SEQUENCE
    data = flooded(make_object, encode, sequence, "1.2.840.10008.1.2.1", b"\x28\0\x02\0US")
    began = time.process_time()
    with pytest.raises(BrokenFile, match=r"x\.dcm"):
        converted(data)
    assert time.process_time() - began < 2 * SOON  # a busy machine needs more of its processor, too


def test_a_million_items_of_a_known_length_are_left_alone(make_object: Any, encode: Any) -> None:
    """Made: pydicom opens such a sequence when somebody asks for it, which took a minute."""
    items = (ITEM + bytes(4)) * 1_000_000
    flood = b"\x28\0\x10\x30SQ\0\0" + struct.pack("<L", len(items)) + items
    data = flooded(make_object, encode, flood, "1.2.840.10008.1.2.1", b"\xe0\x7f\x10\0OW")
    began = time.process_time()
    assert len(converted(data)) == 1
    assert time.process_time() - began < SOON


def test_a_million_elements_are_refused(make_object: Any, encode: Any) -> None:
    """Made: 1.2 million took 7 s and 0.5 GB."""
    tags = np.arange(0x1000, 0x1000 + 52_000, dtype="<u2")
    flood = b"".join(
        struct.pack("<HH2sH", group, int(tag), b"LO", 0) for group in range(0x31, 0x31 + 26, 2) for tag in tags
    )
    data = flooded(make_object, encode, flood, "1.2.840.10008.1.2.1", b"\xe0\x7f\x10\0OW")
    with pytest.raises(BrokenFile, match="more elements"):
        converted(data)


@pytest.mark.parametrize(
    ("tag", "piece"),
    [
        ((0x28, 0x1050), b"1\\"),
        ((0x28, 0x30), b"1\\"),
        ((8, 0x16), b"1."),
        ((8, 0x16), b"1\\"),
        ((0x28, 8), b"1\\"),
    ],
)
def test_a_list_without_end_is_taken_for_absent(make_object: Any, encode: Any, tag: Any, piece: bytes) -> None:
    """Made: ten megabytes of window centres took 15 s and 2.3 GB."""
    payload = piece * 1_000_000
    flood = struct.pack("<HHL", *tag, len(payload)) + payload
    data = flooded(make_object, encode, flood, ImplicitVRLittleEndian, b"\xe0\x7f\x10\0")
    began = time.process_time()
    assert len(converted(data)) == 1
    assert time.process_time() - began < SOON


def test_character_sets_without_end_are_refused(make_object: Any, encode: Any) -> None:
    """Made: pydicom looks each up as it reads; nine megabytes of backslashes took 12 s and 1.4 GB."""
    flood = struct.pack("<HHL", 8, 5, 9_000_000) + b"\\" * 9_000_000
    data = flooded(make_object, encode, flood, ImplicitVRLittleEndian, b"\x08\0\x16\0")
    with pytest.raises(BrokenFile, match="character sets"):
        converted(data)


def test_character_sets_without_end_in_a_sequence_are_left_alone(make_object: Any, encode: Any) -> None:
    inner = struct.pack("<HHL", 8, 5, 5_000_000) + b"\\" * 5_000_000
    items = ITEM + struct.pack("<L", len(inner)) + inner
    flood = struct.pack("<HHL", 0x28, 0x3010, len(items)) + items
    data = flooded(make_object, encode, flood, ImplicitVRLittleEndian, b"\xe0\x7f\x10\0")
    began = time.process_time()
    assert len(converted(data)) == 1
    assert time.process_time() - began < SOON


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x08\0\x05\0CS\x10\0", False),
        (b"\0\x08\0\x05CS\0\x10", False),
        (b"\x08\0\x05\0\x10\0\0\0", False),
        (b"\0\x08\0\x05\0\0\0\x10", False),
        (b"\x08\0\x05\0\0\0\x10\0", True),
        (b"\0\x08\0\x05\0\x10\0\0", True),
    ],
)
def test_only_long_lists_of_character_sets_explode(data: bytes, expected: bool) -> None:
    assert explodes(b"before" + data + b"behind") is expected


def test_representative_frames_are_chosen_among_so_many(make_object: Any, encode: Any) -> None:
    """Made: a file of ten megabytes can have ten million frames of a pixel, each of which was looked at."""
    dataset = make_object(np.zeros((1, 1), np.uint8), NumberOfFrames=1_000_000)
    dataset.PixelData = bytes(range(200)) * 5000
    data = encode(dataset)
    began = time.process_time()
    assert 1 < len(converted(data, frames="representative", max_frames=5)) <= 5
    assert time.process_time() - began < SOON


def test_all_frames_are_not_a_million_of_a_pixel(make_object: Any, encode: Any) -> None:
    """Made: `all` took 100,000 of them, evenly spaced, in 14 s; an object of ten thousand keeps each."""
    dataset = make_object(np.zeros((1, 1), np.uint8), NumberOfFrames=1_000_000)
    dataset.PixelData = bytes(1_000_000)
    made = convert(encode(dataset), "x.dcm", Settings(frames="all"), "0" * 64)
    assert (len(made.pictures), made.frame_count) == (limit(1_000_000), 1_000_000)
    assert limit(0) >= 10_000
    assert limit(2**30) == LIMIT


def test_few_are_taken_of_many_large_blank_frames(wrap: Any) -> None:
    """Made: 64 blank frames of fifty million pixels are a hundred kilobytes, and took minutes."""
    large = np.zeros((5000, 5000), np.uint8)
    frame = bytes(imagecodecs.jpegls_encode(large))
    assert len(converted(wrap(JPEGLSLossless, [frame] * 20, large))) == 8


def test_a_deflated_header_is_bounded_too(make_object: Any, encode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made: half a megabyte inflated to half a gigabyte of profile, which is copied as an element."""
    most = read.HEADER + 100_000  # a shorter one is read by its bytes, and bounded by that
    monkeypatch.setattr(read, "MAX_INFLATED_HEADER", most)

    def deflated(size: int) -> bytes:
        made: bytes = encode(make_object(RAMP, DeflatedExplicitVRLittleEndian, ICCProfile=bytes(size)))
        return made

    with pytest.raises(UnsafeArchive, match="header"):
        converted(deflated(most))
    assert len(converted(deflated(read.HEADER))) == 1


def test_a_deflated_object_is_in_memory_once(make_object: Any, encode: Any) -> None:
    large = np.zeros((2000, 2000), np.uint16)
    large[::7] = 9
    (shown,) = converted(encode(make_object(large, DeflatedExplicitVRLittleEndian)), window="full")
    assert shown.shape == (512, 512)
    assert shown.max() > 0


def test_a_frame_of_more_bytes_than_memory_is_meant_for_is_refused(make_object: Any, encode: Any) -> None:
    """Made: three samples of 32 bits took 1.9 GB, where a grey picture of as many pixels takes 0.6."""
    pixels = np.zeros((100, 100, 3), np.uint32)
    with pytest.raises(ImplausibleSize, match="120000 bytes"):
        converted(encode(make_object(pixels)), max_pixels=10_000)
    assert len(converted(encode(make_object(pixels)), max_pixels=15_000)) == 1


def test_a_large_palette_picture_is_looked_up_in_strips(make_object: Any, encode: Any) -> None:
    """Made: fifty million pixels took 0.9 GB in indices of eight bytes. The same colours, strip by strip."""
    pixels = np.random.default_rng(0).integers(0, 300, (900, 600)).astype(np.uint16)
    table = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    elements = {
        f"{colour}PaletteColorLookupTable{what}": value
        for colour in ("Red", "Green", "Blue")
        for what, value in (("Descriptor", [256, 10, 16]), ("Data", table))
    }
    data = encode(make_object(pixels, PhotometricInterpretation="PALETTE COLOR", **elements))
    (shown,) = converted(data, picture_side=900)
    assert np.array_equal(shown, np.clip(pixels.astype(int) - 10, 0, 255))
    assert MAX_ENTRIES == 65_536


def test_a_deflated_object_that_is_cut_within_a_block_is_broken(make_object: Any, encode: Any) -> None:
    data = encode(make_object(RAMP, DeflatedExplicitVRLittleEndian))
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    start = data.index(DeflatedExplicitVRLittleEndian.encode()) + 400
    with pytest.raises(BrokenFile, match=r"x\.dcm"):
        converted(data[:start] + squeezer.compress(b"x" * 9))
