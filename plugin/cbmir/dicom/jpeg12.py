"""JPEG Extended with 12 bits (PS3.5 8.2.1), which pydicom's own plugins refuse and GDCM's codec decodes.

Written as pydicom wants its decoding plugins: https://pydicom.github.io/pydicom/stable/guides/decoding/decoder_plugins.html
"""

from __future__ import annotations

from collections.abc import Callable

import gdcm
from pydicom.pixels.decoders.base import DecodeRunner, JPEGExtended12BitDecoder
from pydicom.uid import JPEGExtended12Bit

from cbmir.dicom.codestream import jpeg_precision, with_sequential_scan

NAME = "gdcm-12-bit"
"""What pydicom calls this plugin."""

DECODER_DEPENDENCIES: dict[str, tuple[str, ...]] = {JPEGExtended12Bit: ("python-gdcm>=3.0.24",)}

BITS = 12
"""Told to GDCM as both allocated and stored, so that it takes its 12-bit codec at once."""


def is_available(uid: str) -> bool:
    """Whether this plugin decodes the transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode one compressed frame to 16-bit little endian samples.

    Raises:
        ValueError: if GDCM cannot, or the frame is not of 12 bits.
    """
    if jpeg_precision(source) != BITS:
        raise ValueError("no JPEG of 12 bits: the other decoders may take it")
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(_pixel_data(with_sequential_scan(source)))
    photometric = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(runner.transfer_syntax))))
    image.SetPixelFormat(gdcm.PixelFormat(runner.samples_per_pixel, BITS, BITS, BITS - 1, 0))
    pixels: str | None = image.GetBuffer()
    if pixels is None:
        raise ValueError("GDCM gives no pixels")
    return pixels.encode("utf-8", "surrogateescape")


def _pixel_data(source: bytes) -> gdcm.DataElement:
    """The frame as an encapsulated Pixel Data element of one fragment."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(source)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    return element


def register(plugin: Callable[[bytes, DecodeRunner], bytes] = decode_frame) -> None:
    """Make the plugin known to pydicom, once a process."""
    if NAME not in JPEGExtended12BitDecoder.available_plugins:
        JPEGExtended12BitDecoder.add_plugin(NAME, (plugin.__module__, plugin.__name__))
