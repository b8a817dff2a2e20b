"""What the header promises of the pixels, checked before a byte of them is touched (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.uid import UID, MPEGTransferSyntaxes

from cbmir.dicom import values
from cbmir.dicom.boundary import RESEND
from cbmir.dicom.read import DicomObject
from cbmir.errors import BrokenFile, ImplausibleSize, Undecodable

GREY = ("MONOCHROME1", "MONOCHROME2")
SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
COLOUR = ("RGB", "YBR_FULL", *SUBSAMPLED, "YBR_ICT", "YBR_RCT", "XYB")
YBR = tuple(each for each in COLOUR if each.startswith("YBR"))
PALETTE = "PALETTE COLOR"
OTHERS = ("HSV", "ARGB", "CMYK", "YBR_PARTIAL_420")
"""Those of the standard that are not read (PS3.3 C.7.6.3.1.2). No others are quoted: a damaged header may have a
patient's name in their place."""

PACKED = (1, 12)
ALLOCATED = (*PACKED, 8, 16, 32, 64)
"""Bits that a value may take; of one or twelve each, grey values share bytes. Twelve are retired (PS3.5 8.1.1)."""

MAX_BYTES = 8
"""A frame may take as many bytes as `max_pixels` of so many each: three samples of 16 bits, or one of 64."""

MAX_SIDE = 65_535
"""Rows and Columns are unsigned 16-bit numbers."""


@dataclass(frozen=True)
class Layout:
    """The pixels of one object.

    Attributes:
        keyword: of the pixel element, one of `cbmir.dicom.elements.PIXEL_KEYWORDS`.
        syntax: transfer syntax.
        frames, rows, columns: at least 1.
        samples: per pixel, 1 or 3; `planar` is 1 where each sample has a plane of its own.
        allocated, stored, high: bits of a cell, bits of the value in it, and the number of its highest bit.
        signed: whether values are two's complement.
        photometric: one of `GREY`, `COLOUR`, or `PALETTE`.
    """

    keyword: str
    syntax: UID
    frames: int
    rows: int
    columns: int
    samples: int
    planar: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns), and 3 where there is colour."""
        return (self.rows, self.columns, 3) if self.samples == 3 else (self.rows, self.columns)

    @property
    def frame_bits(self) -> int:
        """Bits that a frame takes uncompressed; 4:2:2 has two samples a pixel."""
        samples = 2 if self.photometric in SUBSAMPLED else self.samples
        return self.rows * self.columns * samples * self.allocated

    @property
    def native_bytes(self) -> int:
        """Bytes that all frames take uncompressed; frames of packed bits follow each other without a gap."""
        return (self.frames * self.frame_bits + 7) // 8


def read_layout(found: DicomObject, name: str, *, max_pixels: int) -> Layout:
    """Read and check the Image Pixel module.

    Args:
        found: an object that has pixels.
        name: what the user calls it.
        max_pixels: most pixels of a frame.

    Optional elements that are missing get the only value that makes sense: one frame, unsigned, all bits stored.

    Raises:
        cbmir.errors.ImplausibleSize: without any pixel, or with more than `max_pixels` in a frame.
        cbmir.errors.BrokenFile: if an element is missing or contradicts another.
        cbmir.errors.Undecodable: of video, or if photometric interpretation or number of bits are not read here.
    """
    dataset = found.dataset
    rows, columns = (values.integer(dataset, each, name) for each in ("Rows", "Columns"))
    _check_size(rows, columns, name, max_pixels)
    samples = values.integer(dataset, "SamplesPerPixel", name, default=1)
    allocated = values.integer(dataset, "BitsAllocated", name)
    stored = values.integer(dataset, "BitsStored", name, default=allocated)
    layout = Layout(
        keyword=found.keyword,
        syntax=UID(values.text(dataset.file_meta, "TransferSyntaxUID")),
        frames=max(1, values.integer(dataset, "NumberOfFrames", name, default=1)),
        rows=rows,
        columns=columns,
        samples=samples,
        planar=values.integer(dataset, "PlanarConfiguration", name, default=0),
        allocated=allocated,
        stored=stored,
        high=_high_bit(values.integer(dataset, "HighBit", name, default=stored - 1), stored, allocated),
        signed=values.integer(dataset, "PixelRepresentation", name, default=0) == 1,
        photometric=values.term(dataset, "PhotometricInterpretation", "RGB" if samples == 3 else "MONOCHROME2"),
    )
    _check_still(layout, name)
    _check_bits(layout, name)
    _check_photometric(layout, name)
    _check_bytes(layout, name, MAX_BYTES * max_pixels)
    return layout


def _check_size(rows: int, columns: int, name: str, max_pixels: int) -> None:
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise ImplausibleSize(f"{name} claims {rows} x {columns} pixels.", RESEND)
    if rows * columns > max_pixels:
        reason = f"{name} claims {rows} x {columns} pixels a frame; more than {max_pixels} are not decoded."
        raise ImplausibleSize(reason, "If that is its true size, raise CBMIR_MAX_PIXELS.")


def _check_bytes(layout: Layout, name: str, most: int) -> None:
    if layout.frame_bits > 8 * most:
        reason = f"{name} claims a frame of {layout.frame_bits // 8} bytes; more than {most} are not decoded."
        raise ImplausibleSize(reason, "If that is its true size, raise CBMIR_MAX_PIXELS.")


def _check_still(layout: Layout, name: str) -> None:
    """Refuse MPEG-2, MPEG-4 and HEVC (PS3.5 8.2.5 to 8.2.11), whose frames cannot be had one by one."""
    if layout.syntax in MPEGTransferSyntaxes:
        reason = f"{name} is video ({layout.syntax.name}, {layout.syntax}), which is not read here."
        raise Undecodable(reason, "Have single pictures of it sent, such as Secondary Capture objects.")


def _high_bit(high: int, stored: int, allocated: int) -> int:
    """The highest bit of the value; an impossible one is taken for the usual one (PS3.5 8.1.1)."""
    return high if stored - 1 <= high < allocated else stored - 1


def _check_bits(layout: Layout, name: str) -> None:
    if layout.allocated not in ALLOCATED or not 1 <= layout.stored <= layout.allocated:
        reason = f"{name} claims {layout.stored} bits stored of {layout.allocated} allocated."
        raise BrokenFile(reason, f"Only {', '.join(map(str, sorted(ALLOCATED)))} bits allocated are read here.")
    if (
        layout.samples not in (1, 3)
        or layout.planar not in (0, 1)
        or (layout.samples == 3 and layout.allocated in PACKED)
    ):
        reason = f"{name} claims {layout.samples} samples of {layout.allocated} bits, planar {layout.planar}."
        raise BrokenFile(reason, RESEND)


def _check_photometric(layout: Layout, name: str) -> None:
    if layout.photometric not in (*GREY, *COLOUR, PALETTE):
        which = layout.photometric if layout.photometric in OTHERS else "none of the standard's"
        reason = f"{name} has a photometric interpretation that is not read here: {which}."
        raise Undecodable(reason, f"Convert it to one of {', '.join((*GREY, *COLOUR, PALETTE))}.")
    if (layout.photometric in COLOUR) != (layout.samples == 3):
        reason = f"{name} claims {layout.samples} sample(s) per pixel, but {layout.photometric}."
        raise BrokenFile(reason, RESEND)
