"""One frame's stored values: by the fastest decoder that is correct, the others in turn if it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEGTransferSyntaxes,
    RLELossless,
)

from cbmir.dicom import codecs, values
from cbmir.dicom.boundary import RESEND, translated
from cbmir.dicom.codestream import declared_size, declares_sign, jpeg_precision
from cbmir.dicom.layout import Layout
from cbmir.errors import BrokenFile, Undecodable

PREFERRED: dict[str, tuple[str, ...]] = {
    JPEGBaseline8Bit: (codecs.NAME, "pillow"),
    JPEGExtended12Bit: (codecs.NAME, "pillow"),
    JPEGLossless: (codecs.NAME,),
    JPEGLosslessSV1: (codecs.NAME,),
    JPEGLSLossless: ("pyjpegls",),
    JPEGLSNearLossless: ("pyjpegls",),
    JPEG2000Lossless: ("pylibjpeg", "pillow"),
    JPEG2000: ("pylibjpeg", "pillow"),
    HTJ2KLossless: ("pylibjpeg",),
    HTJ2KLosslessRPCL: ("pylibjpeg",),
    HTJ2K: ("pylibjpeg",),
    RLELossless: (codecs.NAME, "pydicom"),
}
"""Decoders in the order in which they are tried, by transfer syntax. GDCM, which pydicom would take where it is
installed, is left out: some damaged frames make it end the process. So is pylibjpeg for RLE, which then panics."""

MAX_PRECISION = 16
"""Bits of a JPEG or JPEG-LS sample; CharLS spends ten seconds on tables for a frame that claims 17."""

codecs.register()


def decoder_for(layout: Layout, name: str) -> Decoder:
    """The decoder of the object's transfer syntax.

    Raises:
        cbmir.errors.Undecodable: if there is none.
    """
    try:
        decoder = get_decoder(layout.syntax)
    except NotImplementedError as error:
        raise _undecodable(layout, name) from error
    if layout.syntax.is_encapsulated and not _plugins(decoder):
        raise _undecodable(layout, name)
    return decoder


def check_length(dataset: Dataset, layout: Layout, name: str) -> None:
    """Compare the promise of the header with the bytes that are there, before any is decoded.

    Raises:
        cbmir.errors.BrokenFile: if uncompressed pixels are too few, or there is no byte at all.
    """
    present = len(dataset[layout.keyword].value or b"")
    if not present:
        raise BrokenFile(f"{name} has an empty {layout.keyword} element.", RESEND)
    if not layout.syntax.is_encapsulated and present < layout.native_bytes:
        reason = (
            f"{name} promises {layout.frames} frame(s) of {layout.rows} x {layout.columns} pixels, "
            f"which takes {layout.native_bytes} bytes, and holds {present}."
        )
        raise BrokenFile(reason, RESEND)


def stored_values(dataset: Dataset, layout: Layout, index: int, name: str) -> tuple[npt.NDArray[Any], str]:
    """Decode the frame at `index` (0-based).

    Returns:
        The stored values, (rows, columns) or (rows, columns, 3), of an integer or float dtype, free of unused bits
        (PS3.5 8.1.1); and the photometric interpretation that the decoder left them in.

    Raises:
        cbmir.errors.BrokenFile: if the frame is not there.
        cbmir.errors.Undecodable: if no installed decoder takes it.
    """
    decoder = decoder_for(layout, name)
    if layout.syntax.is_encapsulated:
        layout = _checked_against_frame(dataset, layout, index, name)
        pixels, photometric = _decompress(decoder, dataset, layout, index, name)
    elif layout.allocated == 1:
        return packed_bits(values.octets(dataset, layout.keyword), layout, index), layout.photometric
    else:
        with translated(f"{name}: the uncompressed pixels of frame {index + 1} do not fit its header"):
            pixels, photometric = _decode(decoder, dataset, _as_written(dataset, layout), index, "")
    return _significant(pixels, layout), photometric


def packed_bits(data: bytes, layout: Layout, index: int) -> npt.NDArray[np.uint8]:
    """Unpack a frame of one bit a pixel, the first in the lowest bit (PS3.5 8.1.1).

    Frames follow each other without a gap, in mid-byte if need be; pydicom 3.0 drops pixels of some of those.

    Returns:
        uint8 (rows, columns) of 0 and 1.
    """
    count = layout.rows * layout.columns
    first, skipped = divmod(index * count, 8)
    cells = np.frombuffer(data, np.uint8, count=(skipped + count + 7) // 8, offset=first)
    bits = np.unpackbits(cells, count=skipped + count, bitorder="little")
    return bits[skipped:].reshape(layout.rows, layout.columns)


def _as_written(dataset: Dataset, layout: Layout) -> Layout:
    """Some writers say 4:2:2 of uncompressed pixels whose colour is not subsampled: the length tells."""
    whole = replace(layout, photometric="YBR_FULL")
    subsampled = layout.photometric == "YBR_FULL_422"
    return whole if subsampled and len(values.octets(dataset, "PixelData")) >= whole.native_bytes else layout


def _checked_against_frame(dataset: Dataset, layout: Layout, index: int, name: str) -> Layout:
    """Refuse a compressed frame that is not there, or of another size than the header says.

    A JPEG 2000 codestream that says that it is signed is believed: some scanners say unsigned in the header.
    """
    with translated(f"{name} has no frame {index + 1} that could be found in its compressed pixel data"):
        frame = get_frame(values.octets(dataset, "PixelData"), index, number_of_frames=layout.frames)
    size = declared_size(frame)
    if size is not None and size != (layout.rows, layout.columns):
        reason = f"{name} claims {layout.rows} x {layout.columns} pixels, but its frame {index + 1} is"
        raise BrokenFile(f"{reason} {size[0]} x {size[1]}.", RESEND)
    if (jpeg_precision(frame) or MAX_PRECISION) > MAX_PRECISION:
        raise BrokenFile(f"{name} has a JPEG frame of more than {MAX_PRECISION} bits.", RESEND)
    return replace(layout, signed=layout.signed or declares_sign(frame))


def _decompress(
    decoder: Decoder, dataset: Dataset, layout: Layout, index: int, name: str
) -> tuple[npt.NDArray[Any], str]:
    """Try one decoder after the other; if none can, what each said goes into the error's chain."""
    failures: list[Exception] = []
    for plugin in _plugins(decoder):
        try:
            return _decode(decoder, dataset, layout, index, plugin)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 a decoder may raise anything
            failures.append(error)
    why = f"frame {index + 1} is damaged or of a kind not supported"
    raise _undecodable(layout, name, why) from ExceptionGroup("no decoder could", failures)


def _plugins(decoder: Decoder) -> list[str]:
    return [each for each in PREFERRED.get(decoder.UID, ()) if each in decoder.available_plugins]


def _decode(
    decoder: Decoder, dataset: Dataset, layout: Layout, index: int, plugin: str
) -> tuple[npt.NDArray[Any], str]:
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": layout.frames,
        "samples_per_pixel": layout.samples,
        "planar_configuration": layout.planar,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "photometric_interpretation": layout.photometric,
        "allow_excess_frames": False,
    }
    if not layout.syntax.is_encapsulated or layout.syntax == RLELossless or layout.syntax in JPEGTransferSyntaxes:
        options["correct_unused_bits"] = False
    pixels, properties = decoder.as_array(dataset, index=index, raw=True, decoding_plugin=plugin, **options)
    return pixels, str(properties["photometric_interpretation"])


def _significant(pixels: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Move the value's bits down from its high bit, keeping its sign (PS3.5 8.1.1).

    JPEG frames hold nothing but the value, from bit 0: there only a sign is extended, since masking would turn a
    lossy value just above the highest into black.
    """
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype.kind not in "iu" or layout.stored >= bits or layout.allocated == 1:
        return pixels
    high = layout.high
    if layout.syntax.is_encapsulated and layout.syntax != RLELossless:
        if not (layout.signed and layout.syntax in JPEGTransferSyntaxes):
            return pixels
        high = layout.stored - 1
    shifted = np.left_shift(pixels, bits - 1 - high)
    return np.asarray(np.right_shift(shifted, bits - layout.stored))


def _undecodable(layout: Layout, name: str, why: str = "no decoder for it is installed") -> Undecodable:
    syntax = layout.syntax
    known = f"{syntax.name} ({syntax})" if syntax.name != syntax else str(syntax)[:64]
    return Undecodable(
        f"{name} is stored in the transfer syntax {known}: {why}.",
        "Have the archive send it uncompressed (Explicit VR Little Endian), or as JPEG 2000 or JPEG-LS.",
    )
