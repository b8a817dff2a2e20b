"""A picture as the bytes of a stored file, and as those that a browser shows.

TIFF by Zstandard and differences along the rows is as small as PNG, and takes a fraction of its time to write and
to read (`benchmarks/pictures.py`); libtiff, tifffile and what builds on them read it. Browsers do not.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType

import imagecodecs
import numpy as np
from PIL import Image

from cbmir.types import ByteArray

SUFFIX, EARLIER = ".tif", ".png"
"""Of the files that are written, and of those that earlier versions wrote."""

ENDS: Mapping[str, bytes] = MappingProxyType({SUFFIX: b" end of picture\n", EARLIER: b"IEND\xaeB`\x82"})
"""The last bytes of every whole file, by suffix: those of a PNG (ISO 15948 11.2.5), and behind all that TIFF 6.0
asks for the end of a line that begins with the `SUM`. A power failure may leave a file that was never filled."""

SUM = "\n{:08x}"
"""Tells a damaged file, as TIFF does not: CRC-32 (ISO 3309) of what comes before it."""


class Damaged(ValueError):
    """No picture can be made of these bytes."""


def packed(pixels: ByteArray) -> bytes:
    """The bytes of a file that is kept.

    Args:
        pixels: uint8 (rows, columns) or (rows, columns, 3), contiguous.
    """
    data = bytes(
        imagecodecs.tiff_encode(
            pixels,
            level=1,
            compression=imagecodecs.TIFF.COMPRESSION.ZSTD,
            predictor=imagecodecs.TIFF.PREDICTOR.HORIZONTAL,
            rowsperstrip=len(pixels),
        )
    )
    return data + _sum(data) + ENDS[SUFFIX]


def unpacked(data: bytes) -> ByteArray:
    """The pixels, uint8 (rows, columns) or (rows, columns, 3), of a whole file, today's or an earlier version's.

    Raises:
        Damaged: if there are none.
    """
    try:
        if data.endswith(ENDS[EARLIER]):
            return np.asarray(imagecodecs.png_decode(data), np.uint8)
        return np.asarray(imagecodecs.tiff_decode(_summed(data)), np.uint8)
    except (imagecodecs.PngError, imagecodecs.TiffError, ValueError) as error:
        raise Damaged(str(error)) from error


def _sum(data: bytes) -> bytes:
    return SUM.format(zlib.crc32(data)).encode()


def _summed(data: bytes) -> bytes:
    """What the sum and the end stand behind, if it is what they were put behind."""
    length = len(data) - len(ENDS[SUFFIX]) - len(_sum(b""))
    tiff, said = data[:length], data[length : -len(ENDS[SUFFIX])]
    if length < 0 or _sum(tiff) != said:
        raise Damaged("its sum is another")
    return tiff


def png(pixels: ByteArray, side: int | None = None) -> bytes:
    """A PNG file's bytes; with `side`, of a thumbnail whose longer side is at most that."""
    if side is not None:
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.BOX)
        pixels = np.asarray(image)
    # filtered by the row above, run-length coded: real pictures are as small as by Pillow, in a quarter of the time
    how = {"level": 1, "strategy": imagecodecs.PNG.STRATEGY.RLE, "filter": imagecodecs.PNG.FILTER.UP}
    return bytes(imagecodecs.png_encode(pixels, **how))
