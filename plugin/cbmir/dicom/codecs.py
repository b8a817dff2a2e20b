"""JPEG and RLE frames by imagecodecs: libjpeg-turbo for 8 bits, 12 bits and lossless, its own code for RLE.

Built as pydicom wants its decoding plugins, and made known to it by `register`. GDCM would decode all these too,
but ends the whole process over some damaged frames.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.pixels.decoders.base import (
    Decoder,
    DecodeRunner,
    JPEGBaseline8BitDecoder,
    JPEGExtended12BitDecoder,
    JPEGLosslessDecoder,
    JPEGLosslessSV1Decoder,
    RLELosslessDecoder,
)

NAME = "imagecodecs"
"""What pydicom calls these plugins."""

HEADER_BYTES = 64
"""Of an RLE frame: the number of segments and up to 15 offsets (PS3.5 G.5)."""

FUNCTIONS: dict[Decoder, str] = {
    JPEGBaseline8BitDecoder: "decode_jpeg",
    JPEGExtended12BitDecoder: "decode_jpeg",
    JPEGLosslessDecoder: "decode_jpeg",
    JPEGLosslessSV1Decoder: "decode_jpeg",
    RLELosslessDecoder: "decode_rle",
}
"""The function of this module that decodes a transfer syntax."""

DECODER_DEPENDENCIES = {decoder.UID: ("imagecodecs>=2025.3",) for decoder in FUNCTIONS}


def is_available(uid: str) -> bool:
    """Whether a plugin of this module decodes the transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_jpeg(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode a JPEG frame to little endian samples, colour by pixel, as they are stored: YBR stays YBR.

    Raises:
        Exception: whatever the codec raises.
    """
    space = "YCBCR" if runner.samples_per_pixel == 3 else None  # from and to the same: no conversion
    pixels = imagecodecs.jpeg8_decode(source, colorspace=space, outcolorspace=space)
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    if runner.samples_per_pixel == 3:
        runner.set_option("planar_configuration", 0)
    return _little_endian(pixels)


def decode_rle(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode an RLE frame to little endian samples, colour by plane (PS3.5 G).

    Raises:
        ValueError: if the header does not fit the frame; the codec trusts it.
        Exception: whatever the codec raises, also where the frame holds more than it should.
    """
    width = runner.bits_allocated // 8
    _check_segments(source, runner.samples_per_pixel * width)
    size = runner.rows * runner.columns * runner.samples_per_pixel * width
    samples = imagecodecs.dicomrle_decode(source, np.dtype(f"<u{width}"), out=size)
    runner.set_option("planar_configuration", 1)
    return bytes(samples)


def _check_segments(source: bytes, expected: int) -> None:
    """Refuse a header whose segments are not as many as a pixel has bytes, or out of order (PS3.5 G.5)."""
    header = np.frombuffer(source[:HEADER_BYTES], "<u4").astype(np.int64)
    if header.size * 4 != HEADER_BYTES or header[0] != expected or not 0 < expected < header.size:
        raise ValueError("the RLE header does not fit the frame")
    borders = [*header[1 : expected + 1], len(source)]
    if borders[0] < HEADER_BYTES or min(np.diff(borders)) <= 0:
        raise ValueError("the RLE segments do not follow each other")


def _little_endian(pixels: npt.NDArray[Any]) -> bytes:
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def register() -> None:
    """Make the plugins known to pydicom, once a process."""
    for decoder, function in FUNCTIONS.items():
        if NAME not in decoder.available_plugins:
            decoder.add_plugin(NAME, (__name__, function))
