"""Plain image files to 8-bit pictures: PNG, JPEG, TIFF and BMP, known by their content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from cbmir.errors import BrokenFile, CbmirError, ImplausibleSize, NotAPicture
from cbmir.pictures.scale import without_colour
from cbmir.pixels import scans
from cbmir.pixels.contrast import robust_range, stretch, to_bytes
from cbmir.quiet import contained
from cbmir.types import ByteArray

VERSION = "picture-2d/2"
"""Name and version of the conversion; the version changes whenever a picture would."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
"""What Pillow may try: none of its many other parsers ever sees a foreign file."""

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}
"""First bytes of a file, and the format that they mean."""

ZIP = b"PK\x03\x04"

EIGHT_BITS = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"}
"""Pillow's modes that hold at most 8 bits a channel and no transparency."""

TRANSPARENT = {"LA", "La", "PA", "RGBA", "RGBa"}
"""Pillow's modes with an alpha channel."""


MAX_PAGES = 1000
"""Pages of a TIFF that are counted, and read at most: a small file may have hundreds of thousands."""


def image_format(data: bytes) -> str | None:
    """PNG, JPEG, TIFF or BMP by the first bytes; None if it is none of these."""
    return next((known for signature, known in SIGNATURES.items() if data.startswith(signature)), None)


def pages(data: bytes, name: str) -> int:
    """How many pages a TIFF has, as far as `MAX_PAGES`; 1 of any other picture.

    Raises:
        as `read_pages`.
    """
    known = known_format(data, name)
    with _translated(name, known), Image.open(BytesIO(data), formats=FORMATS) as image:
        return _count(image, MAX_PAGES) if known == "TIFF" else 1


def _count(image: Image.Image, most: int) -> int:
    """Pages of a TIFF, as far as `most`: each has to be looked for."""
    for page in range(1, most):
        try:
            image.seek(page)
        except EOFError:
            return page
    return most


def read_pages(data: bytes, name: str, *, max_pixels: int, max_pages: int) -> Iterator[tuple[int, ByteArray]]:
    """Each page of a TIFF, the one picture of any other file.

    More than 8 bits a pixel are scaled by the percentiles of `cbmir.pixels.contrast`, page by page: whether a
    16-bit file uses 12 or all of its bits cannot be told from it. Palettes become RGB, CMYK too, transparency is
    laid on black, EXIF orientation is obeyed, colour profiles are ignored, and RGB whose channels are all equal
    becomes grey.

    Args:
        name: what the user calls the file.
        max_pixels: most pixels of a page, half as many where it has transparency or more than 8 bits, which take
            twice the memory; checked before any is decoded.
        max_pages: most pages given: the first so many.

    Yields:
        (page number, 1-based; uint8 (rows, columns) or (rows, columns, 3)).

    Raises:
        cbmir.errors.NotAPicture: if it is none of these formats.
        cbmir.errors.BrokenFile: if it is damaged, cut short, or of a variant that is not read.
        cbmir.errors.ImplausibleSize: without any pixel, with more than `max_pixels`, or a JPEG of more scans than
            anybody needs, each of which is a pass over all pixels.
    """
    known = known_format(data, name)
    if known == "JPEG" and (why := scans.too_many(data)):
        raise ImplausibleSize(f"{name} {why}; more than {scans.MAX_SCANS} are not decoded.", "Save it as PNG.")
    with _translated(name, known):
        image = Image.open(BytesIO(data), formats=FORMATS)
        count = _count(image, min(max_pages, MAX_PAGES)) if known == "TIFF" else 1
    for page in range(count):
        with _translated(name, known):
            image.seek(page)
            _check_size(image, name, max_pixels)
            pixels = _pixels(image)
        yield page + 1, pixels


def known_format(data: bytes, name: str) -> str:
    """What a file is by its first bytes, 512 of them or all it has.

    Raises:
        cbmir.errors.NotAPicture: if it is none of `FORMATS`; says what it looks like.
    """
    known = image_format(data)
    if known is None:
        what, remedy = _guess(data)
        raise NotAPicture(f"{name} is {what}, neither DICOM nor PNG, JPEG, TIFF or BMP.", remedy)
    return known


def _guess(data: bytes) -> tuple[str, str]:
    """What a file that is no picture looks like, for its owner to recognise, and what to do."""
    usual = "Hand in a DICOM object, or convert it to PNG."
    if not data:
        return "empty", usual
    if data.startswith(ZIP):
        return "a zip file", "Unpack it, and hand in one of its files."
    printable = sum(each in b"\t\n\r" or 32 <= each < 127 for each in data[:512])
    return ("a text file" if printable == len(data[:512]) else "of an unknown format"), usual


@contextmanager
def _translated(name: str, known: str) -> Iterator[None]:
    """Contain Pillow's warnings and turn what it raises into errors of ours."""
    remedy = "Open it with an image viewer; if that fails too, fetch it again, else save it as PNG."
    with contained():
        try:
            yield
        except (CbmirError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise ImplausibleSize(f"{name} claims more pixels than Pillow decodes.", "Scale it down.") from error
        except Exception as error:
            reason = f"{name} is a {known} file that is damaged, cut short, or of a variant that is not read here."
            raise BrokenFile(reason, remedy) from error


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    columns, rows = image.size
    if not rows or not columns:
        raise ImplausibleSize(f"{name} claims {rows} x {columns} pixels.", "Fetch or export it again.")
    allowed = max_pixels if image.mode in EIGHT_BITS and "transparency" not in image.info else max_pixels // 2
    if rows * columns > allowed:
        reason = f"{name} claims {rows} x {columns} pixels; more than {allowed} of its kind are not decoded."
        raise ImplausibleSize(reason, "Scale it down, or raise CBMIR_MAX_PIXELS.")


def _pixels(image: Image.Image) -> ByteArray:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in TRANSPARENT or "transparency" in upright.info:
        ink = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", ink.size, "black"), ink).convert("RGB")
    if upright.mode in EIGHT_BITS:
        grey = upright.mode in ("1", "L")
        return without_colour(np.array(upright.convert("L" if grey else "RGB")))
    return _deep(np.asarray(upright))


def _deep(values: npt.NDArray[Any]) -> ByteArray:
    """16 or 32 bits, integer or float, to 8: by percentiles; see `read_pages`."""
    return to_bytes(stretch(values, *robust_range(values)))
