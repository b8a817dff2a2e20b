"""Where frames lie in encapsulated pixels whose offset table is empty, or not there (PS3.5 A.4)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

SHADES = np.random.default_rng(3).integers(0, 256, (40, 20, 21)).astype(np.uint8)
"""Frames of which none is part of another."""

ENCODED = {
    JPEG2000Lossless: [
        imagecodecs.jpeg2k_encode(each, reversible=True, codecformat="j2k", level=0) for each in SHADES
    ],
    JPEGLSLossless: [imagecodecs.jpegls_encode(each) for each in SHADES],
}

EMPTY_TABLE = struct.pack("<HHL", 0xFFFE, 0xE000, 0)


def item(fragment: bytes) -> bytes:
    """A fragment behind its tag and length."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(fragment)) + fragment


def padded(frame: bytes) -> bytes:
    """A frame of an even number of bytes."""
    return frame + b"\0" * (len(frame) % 2)


def of_length(syntax: str, odd: int) -> list[int]:
    """Three frames of an odd (1) or even (0) number of bytes."""
    return [place for place, frame in enumerate(ENCODED[syntax]) if len(frame) % 2 == odd][:3]


def object_in(make_object: Any, syntax: str, pixels: bytes, frames: int = 3) -> Dataset:
    """So many frames in items."""
    made: Dataset = make_object(SHADES[0], syntax, NumberOfFrames=frames, PixelData=pixels)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("odd", [0, 1])
def test_the_mark_that_ends_a_frame_may_lie_in_two_fragments(
    make_object: Any, encode: Any, convert_all: Any, syntax: str, odd: int
) -> None:
    places = of_length(syntax, odd)
    frames = [padded(ENCODED[syntax][place]) for place in places]
    pixels = EMPTY_TABLE + b"".join(item(frame[:-2]) + item(frame[-2:]) for frame in frames)
    pictures = convert_all(encode(object_in(make_object, syntax, pixels)))
    np.testing.assert_allclose(np.stack(pictures) * 255, SHADES[places], atol=1e-3)


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("count", [1, 3])
def test_a_frame_may_lie_where_the_offset_table_should(
    make_object: Any, encode: Any, convert_all: Any, syntax: str, count: int
) -> None:
    pixels = b"".join(item(padded(frame)) for frame in ENCODED[syntax][:count])
    pictures = convert_all(encode(object_in(make_object, syntax, pixels, count)))
    np.testing.assert_allclose(np.stack(pictures) * 255, SHADES[:count], atol=1e-3)


@pytest.mark.parametrize("table", [EMPTY_TABLE, b""])
def test_a_file_on_disk_gives_the_same(make_object: Any, encode: Any, tmp_path: Path, table: bytes) -> None:
    pixels = table + b"".join(item(padded(frame)) for frame in ENCODED[JPEGLSLossless][:3])
    path = tmp_path / "three.dcm"
    path.write_bytes(encode(object_in(make_object, JPEGLSLossless, pixels)))
    with path.open("rb") as file:
        found = convert(file, path.name, Settings(), "0" * 64).pictures
    np.testing.assert_array_equal(np.stack([each.pixels for each in found]), SHADES[:3])
