"""One frame's stored values: a view on native bytes, or by the fastest decoder that is correct."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from cbmir.dicom import jpeg2000, values
from cbmir.dicom.boundary import RESEND
from cbmir.dicom.codecs import CODECS, Codec
from cbmir.dicom.codestream import declared_shape, fault, j2k_colours, j2k_sample, jpeg_precision, marked_colours
from cbmir.dicom.encapsulation import Fragments, bare_syntax, find_fragments
from cbmir.dicom.layout import SUBSAMPLED, Layout
from cbmir.dicom.octets import Octets
from cbmir.dicom.packing import single_bits, twelve_bits
from cbmir.dicom.read import DicomObject
from cbmir.dicom.syntaxes import DEFLATED_FRAMES, REVERSIBLE, UNCOMPRESSED_IN_ITEMS
from cbmir.errors import BrokenFile, Undecodable

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
"""Transfer syntaxes of uncompressed pixels."""

PNG = b"\x89PNG\r\n\x1a\n"
"""What a PNG file begins with, which some writers put where pixels belong."""

MAX_PRECISION = 16
"""Bits of a JPEG, JPEG-LS or JPEG XL sample; CharLS spends ten seconds on tables for a frame that claims 17."""

TRANSFORMED = ("RGB", "YBR_ICT", "YBR_RCT")
"""What colours may be called whose JPEG 2000 decoder gives RGB (PS3.5 8.2.4)."""

UNTOUCHED = (RLELossless, DEFLATED_FRAMES)
"""Compressed syntaxes whose frames hold whole cells, unused bits and all."""


@dataclass(frozen=True)
class Decoded:
    """The stored values of a frame.

    Attributes:
        values: (rows, columns) or (rows, columns, 3), of an integer or float dtype, free of unused bits
            (PS3.5 8.1.1); fewer than the frame has where its codec halved it.
        photometric: what the decoder left the values in.
        cells: before the unused bits were taken away, where they hold more than the value; else None.
        by: how they were had, in words.
        marked: the colours that the frame itself says it has, where its header names others.
        shifted: how often rows and columns were halved, where each value lies where the first of those it stands
            for did; 0 where it lies in their middle.
    """

    values: npt.NDArray[Any]
    photometric: str
    by: str
    cells: npt.NDArray[Any] | None = None
    shifted: int = 0
    marked: str = ""


class Decoder(Protocol):
    """The frames of one object."""

    def frame(self, index: int, halvings: int) -> Decoded:
        """Decode the frame at `index` (0-based), halved at most so often where its codec can do that for less.

        Raises:
            cbmir.errors.BrokenFile: if the frame contradicts the header.
            cbmir.errors.Undecodable: if no decoder takes it.
        """


def decoder_for(found: DicomObject, layout: Layout, name: str) -> Decoder:
    """What decodes the frames of an object; that they can be there is checked before any is touched.

    Raises:
        cbmir.errors.Undecodable: if there is none for the transfer syntax.
        cbmir.errors.BrokenFile: if there are fewer bytes, or other frames, than the header promises.
    """
    if not found.pixels.length:
        raise BrokenFile(f"{name} has an empty {layout.keyword} element.", RESEND)
    layout = _as_held(found.pixels, layout)
    if layout.syntax in NATIVE:
        swapped = layout.syntax == ExplicitVRBigEndian and found.vr == "OW" and layout.allocated % 16 != 0
        return _Native(found.pixels, _as_written(found.pixels, layout, name), swapped)
    if layout.syntax not in (*CODECS, UNCOMPRESSED_IN_ITEMS):
        raise _undecodable(layout, name, "it is not read here")
    fragments = find_fragments(found, layout.frames, name)
    if layout.syntax == UNCOMPRESSED_IN_ITEMS or _are_plain(fragments, layout):
        return _InItems(fragments, replace(layout, frames=1), name)
    tiled = values.has(found.dataset, "TotalPixelMatrixRows")
    return _Compressed(fragments, layout, name, tiled)


def _are_plain(fragments: Fragments, layout: Layout) -> bool:
    """Some writers put grey frames into items as they are, whatever compression they promise: each is just as long
    as its pixels, and the first is no codestream."""
    if layout.syntax in UNTOUCHED or layout.samples > 1 or layout.allocated not in (8, 16):
        return False
    plain = layout.frame_bits // 8
    if any(sum(length for _, length in spans) != plain + plain % 2 for spans in fragments.frames):
        return False
    return bool(fault(jpeg2000.bare(fragments.frame(0))))


def _as_held(pixels: Octets, layout: Layout) -> Layout:
    """Some writers put a JPEG where they promise uncompressed pixels: its marks tell, and that it is shorter."""
    if layout.syntax not in NATIVE or layout.frames > 1 or pixels.length >= layout.native_bytes:
        return layout
    syntax = bare_syntax(pixels)
    return replace(layout, syntax=UID(syntax)) if syntax else layout


def _as_written(pixels: Octets, layout: Layout, name: str) -> Layout:
    """Compare the promise with what is there. Some writers say 4:2:2 of pixels that are not: the length tells."""
    whole = replace(layout, photometric="YBR_FULL")
    if layout.photometric == "YBR_FULL_422" and pixels.length >= whole.native_bytes:
        return whole
    if pixels.length < layout.native_bytes:
        reason = (
            f"{name} promises {layout.frames} frame(s) of {layout.rows} x {layout.columns} pixels, "
            f"which takes {layout.native_bytes} bytes, and holds {_held(pixels)}."
        )
        raise BrokenFile(reason, RESEND)
    if layout.photometric in SUBSAMPLED and layout.columns % 2:
        reason = f"{name} has {layout.columns} columns, which {layout.photometric} cannot take in pairs"
        raise BrokenFile(f"{reason}: uncompressed, their number must be even (PS3.3 C.7.6.3.1.2).", RESEND)
    return layout


def _held(pixels: Octets) -> str:
    """What there is of pixels, in words."""
    return "a PNG file" if bytes(pixels.read(0, len(PNG))) == PNG else str(pixels.length)


@dataclass(frozen=True)
class _Native:
    """Uncompressed pixels; `swapped` where bytes lie in big-endian words (PS3.5 8.1.1, VR OW)."""

    pixels: Octets
    layout: Layout
    swapped: bool

    def frame(self, index: int, halvings: int) -> Decoded:
        layout = self.layout
        start, skipped = divmod(index * layout.frame_bits, 8)
        data = self._bytes(start, (skipped + layout.frame_bits + 7) // 8)
        if layout.allocated == 1:
            return Decoded(single_bits(data, layout, skipped), layout.photometric, "uncompressed")
        if layout.allocated == 12:
            cells = _as_signed(twelve_bits(data, layout, skipped), layout)
            return _cleaned(cells, layout, layout.photometric, "uncompressed")
        cells = _arranged(np.frombuffer(data, _dtype(layout)), layout)
        return _cleaned(cells, layout, layout.photometric, "uncompressed")

    def _bytes(self, start: int, length: int) -> bytes | memoryview:
        if not self.swapped:
            return self.pixels.read(start, length)
        words = np.frombuffer(self.pixels.read(start // 2 * 2, length + 2), np.uint8)
        pairs = words[: len(words) // 2 * 2].reshape(-1, 2)
        return np.ascontiguousarray(pairs[:, ::-1]).tobytes()[start % 2 :][:length]


@dataclass(frozen=True)
class _InItems:
    """Uncompressed frames of an item each (PS3.5 A.4.11); `layout` is one frame's."""

    fragments: Fragments
    layout: Layout
    name: str

    def frame(self, index: int, halvings: int) -> Decoded:
        pixels = Octets.of(self.fragments.frame(index))
        return _Native(pixels, _as_written(pixels, self.layout, self.name), False).frame(0, 0)


def _dtype(layout: Layout) -> np.dtype[Any]:
    kind = "i" if layout.signed else "u"
    if layout.keyword != "PixelData":
        kind = "f"
    order = ">" if layout.syntax == ExplicitVRBigEndian else "<"
    return np.dtype(f"{order}{kind}{layout.allocated // 8}")


def _arranged(cells: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Samples by pixel, in the machine's byte order, whatever their planes or subsampling."""
    native = cells.astype(cells.dtype.newbyteorder("="), copy=False)
    if layout.photometric in SUBSAMPLED:
        return _upsampled(native, layout)
    if layout.samples == 3 and layout.planar == 1:
        return np.moveaxis(native.reshape(3, layout.rows, layout.columns), 0, -1)
    return native.reshape(layout.shape)


def _upsampled(cells: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """4:2:2, two luminances and then one chrominance of each kind for two pixels (PS3.3 C.7.6.3.1.2)."""
    pairs = cells.reshape(-1, 4)
    whole = np.empty((len(pairs), 2, 3), cells.dtype)
    whole[:, :, 0] = pairs[:, :2]
    whole[:, :, 1:] = pairs[:, None, 2:]
    return whole.reshape(layout.shape)


@dataclass(frozen=True)
class _Compressed:
    """Encapsulated pixels; `tiled` where frames are tiles of a slide."""

    fragments: Fragments
    layout: Layout
    name: str
    tiled: bool

    def frame(self, index: int, halvings: int) -> Decoded:
        """Decode a frame. Some writers cut the tiles at the edges of a slide: these are made whole."""
        frame = jpeg2000.bare(self.fragments.frame(index))
        shape = declared_shape(frame)
        if self.tiled and shape and _is_cut(shape, self.layout):
            cut = replace(self, layout=replace(self.layout, rows=shape[0], columns=shape[1]))
            return _whole(cut.decoded(frame, index, 0), self.layout)
        return self.decoded(frame, index, halvings)

    def decoded(self, frame: bytes, index: int, halvings: int) -> Decoded:
        """Try one decoder after the other; if none can, what each said goes into the error's chain."""
        _check_frame(frame, self.layout, index, self.name)
        failures: list[Exception] = []
        layout = _as_marked(self.layout, frame)
        for codec, fewer in _attempts(frame, layout, halvings):
            try:
                found = _decompressed(codec, frame, layout, fewer)
                return found if layout == self.layout else replace(found, marked=layout.photometric)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 a decoder may raise anything
                failures.append(error)
        why = f"frame {index + 1} {_why_not(frame)}"
        raise _undecodable(self.layout, self.name, why) from ExceptionGroup("no decoder could", failures)


def _why_not(frame: bytes) -> str:
    """Why no decoder could make anything of a frame, as far as it tells."""
    lacking = jpeg2000.missing(frame) if jpeg2000.start_of(frame) == 0 else 0
    return f"promises {lacking} bytes more than it has" if lacking else "is damaged or of a kind not supported"


def _as_marked(layout: Layout, frame: bytes) -> Layout:
    """The layout, its colours as the frame marks them where its header says otherwise: a lossy JPEG, or JPEG 2000,
    whose decoder undoes what the frame says, whichever of three names its header gives that."""
    if layout.samples != 3:
        return layout
    if undone := j2k_colours(frame):
        return replace(layout, photometric=undone) if layout.photometric in TRANSFORMED else layout
    marked = marked_colours(frame)
    return replace(layout, photometric=marked) if marked and marked[:3] != layout.photometric[:3] else layout


def _is_cut(shape: tuple[int, int, int], layout: Layout) -> bool:
    rows, columns, _ = shape
    return (rows, columns) != (layout.rows, layout.columns) and rows <= layout.rows and columns <= layout.columns


def _whole(tile: Decoded, layout: Layout) -> Decoded:
    """A tile as large as the others, its last row and column repeated: a black border would look like something."""
    missing = [(0, side - there) for side, there in zip(layout.shape, tile.values.shape, strict=True)]
    return replace(tile, values=np.pad(tile.values, missing, mode="edge"), by=f"{tile.by}, a cut tile made whole")


def _check_frame(frame: bytes, layout: Layout, index: int, name: str) -> None:
    """Refuse a frame of another size than the header says, before a decoder makes room for it."""
    shape = declared_shape(frame)
    if shape is not None and shape[:2] != (layout.rows, layout.columns):
        reason = f"{name} claims {layout.rows} x {layout.columns} pixels, but its frame {index + 1} is"
        raise BrokenFile(f"{reason} {shape[0]} x {shape[1]}.", RESEND)
    if shape is not None and shape[2] != layout.samples:
        reason = f"{name} claims {layout.samples} sample(s) a pixel, but its frame {index + 1} has {shape[2]}."
        raise BrokenFile(reason, RESEND)
    if (jpeg_precision(frame) or MAX_PRECISION) > MAX_PRECISION:
        raise BrokenFile(f"{name} has a JPEG frame of more than {MAX_PRECISION} bits.", RESEND)
    if layout.syntax not in UNTOUCHED and (why := fault(frame)):
        raise _undecodable(layout, name, f"frame {index + 1} {why}")


def _attempts(frame: bytes, layout: Layout, halvings: int) -> Iterator[tuple[Codec, int]]:
    """Each decoder, halving first where it can."""
    for codec in CODECS[layout.syntax]:
        if halvings and (fewer := min(halvings, codec.halvable(frame, layout))):
            yield codec, fewer
        yield codec, 0


def _decompressed(codec: Codec, frame: bytes, layout: Layout, halvings: int) -> Decoded:
    if halvings and codec.reduced:
        samples = codec.reduced(frame, layout, halvings)
        by = f"{codec.name}, at 1/{2**halvings} of rows and columns"
    else:
        samples, by = codec.decode(frame, layout), codec.name
    _check_samples(samples, layout, halvings)
    photometric = "RGB" if layout.photometric in codec.rgb else layout.photometric
    if layout.syntax in UNTOUCHED or (not halvings and _are_cells(samples, frame, layout)):
        return _cleaned(_as_signed(samples, layout), layout, photometric, by)
    return Decoded(_extended(samples, frame, layout), photometric, by, shifted=halvings if codec.shifts else 0)


def _check_samples(samples: npt.NDArray[Any], layout: Layout, halvings: int) -> None:
    rows, columns = (-(-side // 2**halvings) for side in layout.shape[:2])
    if samples.shape != (rows, columns, *layout.shape[2:]) or samples.dtype.kind not in "iu":
        raise ValueError("the decoder gave something else than the header promises")


def _are_cells(samples: npt.NDArray[Any], frame: bytes, layout: Layout) -> bool:
    """Whether samples are cells with more bits than the value, of which nothing was lost: some archives compress
    them with the overlays in their unused bits. A sign of their own is believed, as `_extended` says."""
    if layout.syntax not in REVERSIBLE or samples.dtype.kind == "i":
        return False
    declared = jpeg_precision(frame) or j2k_sample(frame)[0]
    return layout.stored < declared and layout.high < declared


def _as_signed(cells: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    return cells.view(f"i{cells.dtype.itemsize}") if layout.signed else cells


def _cleaned(cells: npt.NDArray[Any], layout: Layout, photometric: str, by: str) -> Decoded:
    """Move the value's bits down from its high bit, keeping its sign (PS3.5 8.1.1)."""
    bits = 8 * cells.dtype.itemsize
    if cells.dtype.kind == "f" or layout.stored >= bits:
        return Decoded(cells, photometric, by)
    values = np.left_shift(cells, bits - 1 - layout.high)
    np.right_shift(values, bits - layout.stored, out=values)
    return Decoded(values, photometric, by, cells)


def _extended(samples: npt.NDArray[Any], frame: bytes, layout: Layout) -> npt.NDArray[Any]:
    """Give samples the sign that the header promises and the codestream does not tell.

    Lossy frames hold nothing but the value, from bit 0: masking would turn one just above the highest into black. A
    JPEG 2000 codestream that says that it is signed is believed: some scanners say unsigned in the header.
    """
    if not layout.signed or samples.dtype.kind == "i":
        return samples
    declared = jpeg_precision(frame) or j2k_sample(frame)[0]
    unused = max(0, 8 * samples.dtype.itemsize - min(layout.stored, declared))
    return np.asarray(np.right_shift(np.left_shift(samples.view(f"i{samples.dtype.itemsize}"), unused), unused))


def _undecodable(layout: Layout, name: str, why: str) -> Undecodable:
    syntax = layout.syntax
    known = f"{syntax.name} ({syntax})" if syntax.name != syntax else str(syntax)
    where = f"the transfer syntax {known}" if syntax.is_valid else "what is no transfer syntax"
    return Undecodable(
        f"{name} is stored in {where}: {why}.",
        "Have the archive send it uncompressed (Explicit VR Little Endian), or as JPEG 2000 or JPEG-LS.",
    )
