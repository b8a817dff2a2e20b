"""Compressed frames to samples, by well-kept libraries: a table of decoders by transfer syntax, fastest first.

GDCM would decode most of these too, but ends the whole process over some damaged frames; pylibjpeg's RLE decoder
panics on some; so neither is here. OpenJPH, the fastest for HTJ2K, ends it too, by SIGFPE and SIGSEGV, and where it
stops half-way imagecodecs (2026.3) gives an array that nobody has filled: OpenJPEG reads HTJ2K as well.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from typing import Any

import imagecodecs
import jpeg_ls
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import RLELosslessDecoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cbmir.dicom import jpeg2000
from cbmir.dicom.budget import budget, memory_budget
from cbmir.dicom.codestream import (
    declared_shape,
    fault,
    j2k_levels,
    j2k_sample,
    jpeg_precision,
    marked_colours,
)
from cbmir.dicom.jpegxl import holds_jpeg
from cbmir.dicom.layout import YBR, Layout
from cbmir.dicom.packing import single_bits
from cbmir.dicom.syntaxes import DEFLATED_FRAMES, JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION

Samples = npt.NDArray[Any]
"""(rows, columns) or (rows, columns, 3), of an integer dtype."""

Decode = Callable[[bytes, Layout], Samples]

PADDED_END = b"\0\xff\xd9"
"""A byte of padding and the mark that ends an image, which is looked for right behind the data."""

JXL_SAMPLES_PER_SECOND = 3_000_000
"""A quarter of what libjxl decodes of its slowest kind, 16 bits without loss."""

HEADER_BYTES = 64
"""Of an RLE frame: the number of segments and up to 15 offsets (PS3.5 G.5)."""


@dataclass(frozen=True)
class Codec:
    """A decoder.

    Attributes:
        name: of the library, as the steps of a picture give it.
        decode: a whole frame; raises whatever the library does.
        reduced: the same at half the rows and columns, rounded up, `halvings` times; None where it cannot.
        halvable: how often a frame can be halved so at most.
        shifts: whether samples of such frames lie where the first of those they stand for did; else they are means.
        rgb: photometric interpretations whose samples come out as RGB.
        available: whether this build of the library has it.
    """

    name: str
    decode: Decode
    reduced: Callable[[bytes, Layout, int], Samples] | None = None
    halvable: Callable[[bytes, Layout], int] = lambda *_: 0
    shifts: bool = False
    rgb: tuple[str, ...] = ()
    available: bool = True


def _jpeg(frame: bytes, layout: Layout) -> Samples:
    """JPEG of 8 and 12 bits. The header says whether colours are YBR, no marker in the frame."""
    if layout.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(frame))
    wanted = "RGB" if layout.photometric.startswith("YBR") else "YCBCR"  # from YBR to YBR: left as it is
    return np.asarray(imagecodecs.jpeg8_decode(frame, colorspace="YCBCR", outcolorspace=wanted))


def _jpeg_lossless(frame: bytes, layout: Layout) -> Samples:
    """Lossless JPEG, whose samples are what they were: its decoder converts no colours."""
    if layout.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(frame))
    return np.asarray(imagecodecs.jpeg8_decode(frame, colorspace="YCBCR", outcolorspace="YCBCR"))


def _jpeg_reduced(frame: bytes, _: Layout, halvings: int) -> Samples:
    """The means of the pixels that the decoder would give: it computes them in their place."""
    with Image.open(BytesIO(frame), formats=("JPEG",)) as image:
        image.draft("L", (image.width >> halvings, image.height >> halvings))
        return np.asarray(image)


def _jpeg_halvable(frame: bytes, layout: Layout) -> int:
    """Three times, blocks of 8 x 8 pixels to one each; only grey of 8 bits."""
    return 3 if layout.samples == 1 and jpeg_precision(frame) == 8 else 0


def _jpeg_ls(frame: bytes, layout: Layout) -> Samples:
    """JPEG-LS. Over some damaged frames CharLS counts two thousand million bits that are not there: ten seconds."""
    with budget(layout.rows * layout.columns * layout.samples):
        return np.asarray(jpeg_ls.decode(np.frombuffer(frame, np.uint8)))


def _jpeg_ls_by_imagecodecs(frame: bytes, layout: Layout) -> Samples:
    """The same, by the same library, of frames that are padded in front of their end mark: it asks for none.

    Of no others: they would have a second time of the processor.
    """
    if frame.rstrip(b"\0")[-3:] != PADDED_END:
        raise ValueError("no padding in front of the end mark")
    with budget(layout.rows * layout.columns * layout.samples):
        return np.asarray(imagecodecs.jpegls_decode(frame))


def _jpeg_2000(frame: bytes, _: Layout) -> Samples:
    return np.asarray(imagecodecs.jpeg2k_decode(frame))


def _jpeg_2000_uncommented(frame: bytes, layout: Layout) -> Samples:
    """The same, of frames that have comments where OpenJPEG looks for the end, and of no others."""
    ended = jpeg2000.uncommented(frame)
    if len(ended) == len(frame):
        raise ValueError("no comments in front of the end mark")
    return _jpeg_2000(ended, layout)


def _jpeg_2000_reduced(frame: bytes, _: Layout, halvings: int) -> Samples:
    """Pillow moves samples of more than 8 bits up to 16, and signed ones up into the positive: both are undone."""
    bits, signed = j2k_sample(frame)
    with Image.open(BytesIO(frame), formats=("JPEG2000",)) as image:
        image.reduce = halvings  # type: ignore[assignment,method-assign]
        moved = np.asarray(image)
    samples: Samples = moved >> (8 * moved.itemsize - bits)
    return samples.astype(np.int32) - (1 << bits - 1) if signed else samples


def _jpeg_2000_halvable(frame: bytes, layout: Layout) -> int:
    """As often as its encoder did it: only grey, and not where header and frame differ about the sign."""
    return j2k_levels(frame) if layout.samples == 1 and j2k_sample(frame)[1] == layout.signed else 0


def _jpeg_xl(frame: bytes, layout: Layout) -> Samples:
    """JPEG XL. A picture may be put together from others, each as large as it likes: that has its limits.

    The orientation stays the object's own, as that of a JPEG does.
    """
    samples = layout.rows * layout.columns * layout.samples
    with budget(samples, JXL_SAMPLES_PER_SECOND), memory_budget(samples):
        return np.asarray(imagecodecs.jpegxl_decode(frame, keeporientation=True, numthreads=1))


def _jpeg_in_jpeg_xl(frame: bytes, layout: Layout) -> Samples:
    """The very JPEG that was compressed once more, decoded as any other: to the samples it had before.

    Its own mark of its colours is believed before the header, as that of any other is.
    """
    if not holds_jpeg(frame):
        raise ValueError("no JPEG within")
    samples = layout.rows * layout.columns * layout.samples
    with budget(samples, JXL_SAMPLES_PER_SECOND), memory_budget(samples):
        jpeg = bytes(imagecodecs.jpegxl_decode_jpeg(frame, numthreads=1))
    if declared_shape(jpeg) != (layout.rows, layout.columns, layout.samples) or fault(jpeg):
        raise ValueError("the JPEG within is not what the header promises")
    marked = marked_colours(jpeg) if layout.samples == 3 else ""
    return _jpeg(jpeg, replace(layout, photometric=marked or layout.photometric))


def _rle(frame: bytes, layout: Layout) -> Samples:
    """RLE (PS3.5 G): a segment for each byte of a sample. The library trusts the header, which is checked first."""
    if layout.allocated == 1:
        return _rle_of_single_bits(frame, layout)
    width = layout.allocated // 8
    _check_segments(frame, layout.samples * width)
    cells = layout.rows * layout.columns * layout.samples
    decoded = imagecodecs.dicomrle_decode(frame, np.dtype(f"<u{width}"), out=cells * width)
    planes = np.frombuffer(decoded, f"<u{width}", count=cells).reshape(-1, layout.rows, layout.columns)
    return planes[0] if layout.samples == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def _rle_of_single_bits(frame: bytes, layout: Layout) -> Samples:
    """RLE of one bit a pixel: one segment of packed bytes."""
    _check_segments(frame, 1)
    decoded = imagecodecs.dicomrle_decode(frame, np.dtype(np.uint8), out=(layout.frame_bits + 7) // 8)
    return single_bits(decoded, layout)


def _rle_by_pydicom(frame: bytes, layout: Layout) -> Samples:
    """The same, byte by byte in Python: lets pass what goes on behind the picture's end."""
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": layout.samples,
        "planar_configuration": 1,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.allocated,
        "pixel_representation": 0,
        "photometric_interpretation": "RGB" if layout.samples == 3 else "MONOCHROME2",
    }
    cells, _ = RLELosslessDecoder.as_array(encapsulate([frame]), raw=True, decoding_plugin="pydicom", **options)
    return cells


def _check_segments(frame: bytes, expected: int) -> None:
    """Refuse a header whose segments are not as many as a pixel has bytes, or out of order (PS3.5 G.5)."""
    if len(frame) < HEADER_BYTES:
        raise ValueError("the RLE header does not fit the frame")
    count, *offsets = struct.unpack_from("<16L", frame)
    if count != expected or not 0 < expected <= len(offsets):
        raise ValueError("the RLE header does not fit the frame")
    borders = [*offsets[:expected], len(frame)]
    if borders[0] < HEADER_BYTES or any(one >= other for one, other in pairwise(borders)):
        raise ValueError("the RLE segments do not follow each other")


def _deflated(frame: bytes, layout: Layout) -> Samples:
    """Deflated Image Frame Compression (PS3.5 A.4.13): one frame's native samples."""
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, (layout.frame_bits + 7) // 8)
    if layout.allocated == 1:
        return single_bits(inflated, layout)
    width = layout.allocated // 8
    count = layout.rows * layout.columns * layout.samples
    return np.frombuffer(inflated, f"<u{width}", count=count).reshape(layout.shape)


_OPENJPEG = Codec(
    "openjpeg",
    _jpeg_2000,
    _jpeg_2000_reduced,
    _jpeg_2000_halvable,
    shifts=True,
    rgb=("YBR_ICT", "YBR_RCT"),
    available=imagecodecs.JPEG2K.available,
)
_OPENJPEG_UNCOMMENTED = Codec(
    "openjpeg without comments behind the data",
    _jpeg_2000_uncommented,
    rgb=_OPENJPEG.rgb,
    available=imagecodecs.JPEG2K.available,
)
_TURBO = Codec(
    "libjpeg-turbo", _jpeg, _jpeg_reduced, _jpeg_halvable, rgb=YBR, available=imagecodecs.JPEG8.available
)
_TURBO_LOSSLESS = Codec("libjpeg-turbo", _jpeg_lossless, available=imagecodecs.JPEG8.available)
_CHARLS = Codec("CharLS", _jpeg_ls)
_CHARLS_LENIENT = Codec("CharLS by imagecodecs", _jpeg_ls_by_imagecodecs, available=imagecodecs.JPEGLS.available)
_JXL = Codec("libjxl", _jpeg_xl, rgb=(*YBR, "XYB"), available=imagecodecs.JPEGXL.available)
_JXL_AND_TURBO = replace(_JXL, name="libjxl and libjpeg-turbo", decode=_jpeg_in_jpeg_xl)
_JXL_LOSSLESS = replace(_JXL, rgb=tuple(each for each in _JXL.rgb if each != "YBR_FULL"))
"""YBR of whole chrominance went in as samples, and comes out as such; no other YBR can."""

RETIRED = tuple(UID(f"1.2.840.10008.1.2.4.{number}") for number in (53, 55))
"""Spectral selection and full progression: progressive JPEG of 8 and 12 bits (retired, PS3.5 A.4.1)."""

CODECS: dict[str, tuple[Codec, ...]] = {
    JPEGBaseline8Bit: (_TURBO,),
    JPEGExtended12Bit: (_TURBO,),
    **dict.fromkeys(RETIRED, (_TURBO,)),
    JPEGLossless: (_TURBO_LOSSLESS,),
    JPEGLosslessSV1: (_TURBO_LOSSLESS,),
    JPEGLSLossless: (_CHARLS, _CHARLS_LENIENT),
    JPEGLSNearLossless: (_CHARLS, _CHARLS_LENIENT),
    JPEG2000Lossless: (_OPENJPEG, _OPENJPEG_UNCOMMENTED),
    JPEG2000: (_OPENJPEG, _OPENJPEG_UNCOMMENTED),
    HTJ2KLossless: (_OPENJPEG, _OPENJPEG_UNCOMMENTED),
    HTJ2KLosslessRPCL: (_OPENJPEG, _OPENJPEG_UNCOMMENTED),
    HTJ2K: (_OPENJPEG, _OPENJPEG_UNCOMMENTED),
    JPEG_XL_LOSSLESS: (_JXL_AND_TURBO, _JXL_LOSSLESS),  # some put a JPEG into it as it is
    JPEG_XL_RECOMPRESSION: (_JXL_AND_TURBO, _JXL),
    JPEG_XL: (_JXL,),
    RLELossless: (
        Codec("imagecodecs", _rle, available=imagecodecs.DICOMRLE.available),
        Codec("pydicom", _rle_by_pydicom),
    ),
    DEFLATED_FRAMES: (Codec("zlib", _deflated),),
}
"""Decoders by transfer syntax, in the order in which they are tried."""
