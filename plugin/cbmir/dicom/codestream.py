"""What a compressed frame says of itself, before a decoder trusts it (ISO 10918-1, 14495-1, 15444-1, 18181-1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from pydicom.uid import (
    JPEG2000,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from cbmir.dicom import jpeg2000, jpegxl
from cbmir.dicom.syntaxes import JPEG_XL
from cbmir.pixels import scans

JPEG_START = b"\xff\xd8"
FILL, START_OF_SCAN, JPEG_LS_FRAME = 0xFF, 0xDA, 0xF7
NO_FRAME = {0xC4, 0xC8, 0xCC}
"""DHT, JPG and DAC: among the numbers of the start-of-frame markers, but none."""

ALONE = {0x00, 0x01, *range(0xD0, 0xDA)}
"""Second bytes of what is no marker, or one without a segment."""

SYNTAXES = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC2: "1.2.840.10008.1.2.4.55",
    0xC3: JPEGLossless,
    JPEG_LS_FRAME: JPEGLSLossless,
}
"""Transfer syntaxes by the second byte of the marker that starts a frame (ISO 10918-1 B.1.1.3, 14495-1 C.1.1)."""

RLE_HEADER = b"\0\0\0\x40\0\0\0"
"""What an RLE frame has behind its first byte, the number of segments: the first of them lies at 64 (PS3.5 G.5)."""

LOSSY = {0xC0, 0xC1, 0xC2}
"""Start-of-frame markers of the processes by cosine transform: baseline, extended, progressive."""

JFIF = 0xE0, b"JFIF\0"
"""The second byte of a marker, and what its segment begins with (ITU-T T.871 10.1)."""

CODING_STYLE, REVERSIBLE_FILTER = 0x52, 1
"""The second byte of the marker COD, and what its last byte says of the 5-3 wavelet."""


def declared_shape(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, samples) of a frame of any JPEG; None if it is none, or ends too early."""
    if said := _jpeg_xl(frame):
        return said.rows, said.columns, said.samples
    at = jpeg2000.start_of(frame)
    if at >= 0 and len(frame) >= at + 42:
        columns, rows, left, top = struct.unpack_from(">4L", frame, at + 8)
        return rows - top, columns - left, *struct.unpack_from(">H", frame, at + 40)
    found = _start_of_frame(frame)
    return None if found is None else found[2:]


def fault(frame: bytes) -> str:
    """Why no decoder may see a frame of any JPEG, to go on after "frame 1"; empty if one may."""
    if jpegxl.is_one(frame):
        return jpegxl.fault(frame)
    if not frame.startswith(JPEG_START):
        return jpeg2000.fault(frame) if jpeg2000.start_of(frame) == 0 else "is no JPEG codestream of any kind"
    found = _start_of_frame(frame)
    if found is None:
        return "does not say how large it is"
    return "" if found[0] == JPEG_LS_FRAME else scans.too_many(frame)  # JPEG-LS has a scan a component at most


def likely_syntax(frame: bytes) -> str:
    """The transfer syntax that a compressed frame is in, by its first bytes; empty if they tell none."""
    if jpeg2000.start_of(frame) >= 0:
        return JPEG2000
    if jpegxl.is_one(frame):
        return JPEG_XL
    if frame[1:8] == RLE_HEADER and 0 < frame[0] < 16:
        return RLELossless
    found = _start_of_frame(frame)
    return SYNTAXES.get(found[0], "") if found else ""


def jpeg_precision(frame: bytes) -> int | None:
    """Bits of a sample of a JPEG, JPEG-LS or JPEG XL frame, of which 2 to 16 can be; None of anything else."""
    if said := _jpeg_xl(frame):
        return said.bits
    found = _start_of_frame(frame)
    return None if found is None else found[1]


def marked_colours(frame: bytes) -> str:
    """What the three samples of a lossy JPEG frame are: "RGB" where they are called so; "YBR_FULL" where the frame
    is JFIF, which has no RGB, or some are sparser than others, as chrominance is; empty where nothing tells."""
    marks = {(marker, frame[at + 4 : at + 9]): at for marker, at, _ in _segments(frame)}
    starts = [at for (marker, _), at in marks.items() if marker in LOSSY]
    if not starts:
        return ""
    names, samplings = (frame[starts[0] + first : starts[0] + 19 : 3] for first in (10, 11))
    if names.upper() == b"RGB":
        return "RGB"
    return "YBR_FULL" if JFIF in marks or len({*samplings}) > 1 else ""


def j2k_sample(frame: bytes) -> tuple[int, bool]:
    """(bits, whether signed) of the samples of a JPEG 2000 frame's first component (Ssiz, ISO 15444-1 A.5.1).

    Raises:
        ValueError: if the frame is none, or ends too early.
    """
    at = jpeg2000.start_of(frame)
    if at < 0 or len(frame) <= at + 42:
        raise ValueError("no JPEG 2000 codestream")
    return (frame[at + 42] & 0x7F) + 1, bool(frame[at + 42] & 0x80)


def j2k_levels(frame: bytes) -> int:
    """How often a JPEG 2000 frame can be halved: its decomposition levels (ISO 15444-1 A.6.1); 0 if unknown."""
    style = _coding_style(frame)
    return min(style[9], 32) if len(style) > 9 else 0


def j2k_colours(frame: bytes) -> str:
    """What the components of a JPEG 2000 frame are: "YBR_RCT" or "YBR_ICT" by the transformation that its decoder
    undoes (ISO 15444-1 A.6.1, annex G), "RGB" if it undoes none; empty of anything else."""
    style = _coding_style(frame)
    if len(style) <= 13:
        return ""
    return ("YBR_RCT" if style[13] == REVERSIBLE_FILTER else "YBR_ICT") if style[8] else "RGB"


def _coding_style(frame: bytes) -> bytes:
    """A JPEG 2000 codestream from its marker COD on, as far as it is read here; empty where there is none."""
    at = jpeg2000.start_of(frame)
    at = at + 2 if at >= 0 else len(frame)
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != CODING_STYLE:
        at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return frame[at : at + 14] if frame[at : at + 1] == b"\xff" else b""


def _jpeg_xl(frame: bytes) -> jpegxl.Header | None:
    if jpegxl.is_one(frame):
        with suppress(ValueError):
            return jpegxl.header(frame)
    return None


def _start_of_frame(frame: bytes) -> tuple[int, int, int, int, int] | None:
    """(marker, precision, rows, columns, samples) of a JPEG or JPEG-LS frame's header (ISO 10918-1 B.2.2)."""
    for marker, at, _ in _segments(frame):
        if marker == JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in NO_FRAME):
            precision, rows, columns, samples = struct.unpack_from(">B2HB", frame, at + 4)
            return marker, precision, rows, columns, samples
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, offset, length) of each segment of a JPEG up to its first scan; nothing of anything else.

    Ends at whatever is no segment: a decoder might pass over it, and find another size behind it.
    """
    at = len(JPEG_START) if frame.startswith(JPEG_START) else len(frame)
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == FILL:
            at += 1
            continue
        if marker in ALONE:
            return
        yield marker, at, length
        if marker == START_OF_SCAN:
            return
        at += 2 + length
