"""Plain image files: every mode to 8 bits, and every kind of bad file to its own refusal."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cbmir.errors import BrokenFile, ImplausibleSize, NotAPicture
from cbmir.pictures import read as room
from cbmir.pictures.read import pages, read_pages

GREY = np.random.default_rng(0).integers(0, 256, (12, 16)).astype(np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (12, 16, 3)).astype(np.uint8)
LIMIT = 1_000_000


def saved(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def read(data: bytes, max_pixels: int = LIMIT, name: str = "a.png") -> npt.NDArray[np.uint8]:
    """The first page."""
    _, pixels = next(read_pages(data, name, max_pixels=max_pixels, max_pages=1))
    assert pixels.dtype == np.uint8
    return pixels


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_eight_bits_are_kept_as_they_are(file_format: str, pixels: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(read(saved(Image.fromarray(pixels), file_format)), pixels)


def test_jpeg() -> None:
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    found = read(saved(Image.fromarray(smooth), "JPEG", quality=95))
    assert np.abs(found.astype(int) - smooth).max() <= 4


def test_the_name_does_not_matter() -> None:
    assert np.array_equal(read(saved(Image.fromarray(GREY)), name="scan.dcm"), GREY)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("top", [4095, 65535])
def test_sixteen_bits_use_the_whole_scale_whatever_bits_they_use(file_format: str, top: int) -> None:
    ramp = np.linspace(0, top, 10_000).astype(np.uint16).reshape(100, 100)
    found = read(saved(Image.fromarray(ramp), file_format)).ravel().astype(float)
    assert (found.min(), found.max()) == (0, 255)
    assert np.all(np.diff(found) >= 0)
    np.testing.assert_allclose(found, np.linspace(0, 255, 10_000), atol=3)


def test_floats_and_thirty_two_bits() -> None:
    for ramp in (
        np.linspace(-1, 1, 10_000, dtype=np.float32).reshape(100, 100),
        np.linspace(-(2**30), 2**30, 10_000).astype(np.int32).reshape(100, 100),
    ):
        found = read(saved(Image.fromarray(ramp), "TIFF"))
        np.testing.assert_allclose(found.ravel(), np.linspace(0, 255, 10_000), atol=3)


def test_a_float_picture_with_nan() -> None:
    ramp = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    ramp[5, 5] = np.nan
    assert read(saved(Image.fromarray(ramp), "TIFF"))[5, 5] == 0


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_a_palette_becomes_rgb(file_format: str) -> None:
    indexed = Image.fromarray(GREY % 4)
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
    assert np.array_equal(read(saved(indexed, file_format)), colours[GREY % 4])


def test_one_bit() -> None:
    bits = Image.fromarray(GREY > 128)
    assert np.array_equal(read(saved(bits)), np.where(GREY > 128, 255, 0))


def test_transparency_is_laid_on_black() -> None:
    alpha = np.tile(np.array([0, 128, 255, 255], np.uint8), (12, 4))
    found = read(saved(Image.fromarray(np.dstack([RGB, alpha]))))
    np.testing.assert_allclose(found, RGB * (alpha[..., None] / 255), atol=1.01)
    grey = read(saved(_with_alpha(GREY, alpha)))
    assert grey.ndim == 2
    np.testing.assert_allclose(grey, GREY * (alpha / 255), atol=1.01)


def _with_alpha(grey: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(grey).convert("LA")
    image.putalpha(Image.fromarray(alpha))
    return image


def test_a_transparent_palette_entry_is_black() -> None:
    indexed = Image.fromarray(GREY % 2)
    indexed.putpalette([250, 0, 0, 0, 250, 0])
    found = read(saved(indexed, transparency=0))
    assert not found[GREY % 2 == 0].any()
    assert (found[GREY % 2 == 1] == [0, 250, 0]).all()


def test_cmyk() -> None:
    image = Image.fromarray(RGB).convert("CMYK")
    found = read(saved(image, "TIFF"))
    np.testing.assert_allclose(found, RGB, atol=2)


def test_exif_orientation_is_obeyed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    assert np.array_equal(read(saved(Image.fromarray(GREY), exif=exif)), np.rot90(GREY, -1))


def test_grey_that_was_stored_as_rgb_becomes_grey() -> None:
    assert np.array_equal(read(saved(Image.fromarray(np.dstack([GREY] * 3)))), GREY)


def test_each_page_of_a_tiff_is_a_picture() -> None:
    pages = [Image.fromarray(GREY + shade) for shade in range(5)]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    found = list(read_pages(data, "a.tif", max_pixels=LIMIT, max_pages=3))
    assert [number for number, _ in found] == [1, 2, 3]
    assert np.array_equal(found[2][1], GREY + 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"just some words", "a text file"),
        (b"\0\1\2" * 99, "unknown format"),
        (b"GIF89a" + bytes(99), "unknown"),
        (b"PK\3\4" + bytes(99), "a zip file"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, words: str) -> None:
    with pytest.raises(NotAPicture, match=words) as caught:
        read(data)
    assert "a.png" in caught.value.reason


@settings(max_examples=80, deadline=None)
@given(share=st.floats(0, 0.99), file_format=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP"]))
def test_a_file_cut_anywhere_is_refused(share: float, file_format: str) -> None:
    whole = saved(Image.fromarray(RGB), file_format)
    cut = whole[: int(share * len(whole) * 0.9)]
    with pytest.raises((BrokenFile, NotAPicture)):
        read(cut)


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=10),
    file_format=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP"]),
)
def test_changed_bytes_raise_nothing_foreign(changes: list[tuple[int, int]], file_format: str) -> None:
    data = bytearray(saved(Image.fromarray(RGB), file_format))
    for position, value in changes:
        data[position % len(data)] = value
    with suppress(BrokenFile, NotAPicture, ImplausibleSize):
        read(bytes(data))


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2000, 2000), (12_000, 9_000)])
def test_too_many_pixels_are_refused(width: int, height: int) -> None:
    with pytest.raises(ImplausibleSize, match=r"a\.png"):
        read(png_of(width, height))


@pytest.mark.parametrize(("width", "height"), [(0, 60), (60, 0), (0, 0)])
def test_no_pixels_are_refused(width: int, height: int) -> None:
    with pytest.raises((ImplausibleSize, BrokenFile), match=r"a\.png"):
        read(png_of(width, height))


def test_a_text_chunk_bomb_is_refused() -> None:
    body = b"Comment\0\0" + zlib.compress(bytes(200_000_000))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    whole = saved(Image.fromarray(GREY))
    with pytest.raises(BrokenFile):
        read(whole[:33] + chunk + whole[33:])


def test_pages_without_end_are_not_counted_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = BytesIO()
    page = Image.new("L", (2, 2))
    page.save(stream, "TIFF", save_all=True, append_images=[page] * 9)
    assert pages(stream.getvalue(), "x") == 10
    monkeypatch.setattr(room, "MAX_PAGES", 4)
    assert pages(stream.getvalue(), "x") == 4
    assert len(list(read_pages(stream.getvalue(), "x", max_pixels=100, max_pages=64))) == 4


@pytest.mark.parametrize(("mode", "allowed"), [("L", 100), ("RGB", 100), ("RGBA", 50), ("I;16", 50)])
def test_deep_and_transparent_pictures_may_be_half_as_large(mode: str, allowed: int) -> None:
    stream = BytesIO()
    Image.new(mode, (allowed + 1, 1)).save(stream, "PNG")
    with pytest.raises(ImplausibleSize, match=f"more than {allowed}"):
        read(stream.getvalue(), 100)
    stream = BytesIO()
    Image.new(mode, (allowed, 1)).save(stream, "PNG")
    assert read(stream.getvalue(), 100).shape[1] == allowed


def test_a_progressive_jpeg_of_a_thousand_scans_is_refused() -> None:
    """Made: each scan of a few bytes is a pass over all pixels; a hundred kilobytes took minutes."""
    whole = saved(Image.fromarray(RGB), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImplausibleSize, match="scans; more than 32") as caught:
        read(whole[:-2] + last * 1000 + whole[-2:])
    assert caught.value.remedy
    assert read(whole[:-2] + last * 3 + whole[-2:]).shape == RGB.shape


def test_what_a_profile_holds_are_no_scans() -> None:
    whole = saved(Image.fromarray(RGB), "JPEG", icc_profile=b"\xff\xda" * 1000)
    assert read(whole).shape == RGB.shape
    assert read(whole + b"\xff\xda" * 1000).shape == RGB.shape
