"""A DICOM object to its 2D pictures, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from cbmir.dicom import choice, multiplex, transferred, values, waveforms
from cbmir.dicom.aspect import aspect
from cbmir.dicom.boundary import translated
from cbmir.dicom.decode import Decoder, decoder_for
from cbmir.dicom.kinds import kind, may_show, privately_compressed
from cbmir.dicom.layout import Layout, read_layout
from cbmir.dicom.octets import Octets
from cbmir.dicom.pixels import Pictures
from cbmir.dicom.read import DicomObject
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.tissue import Box, region
from cbmir.dicom.voi import own_windows
from cbmir.errors import NoPixels, Undecodable
from cbmir.pixels.contrast import to_bytes
from cbmir.types import ByteArray, UltrasoundRegion

MAX_SAMPLES, SAMPLES_PER_BYTE = 200_000_000, 10
"""Samples that are decoded of an object whose frames are spread: so many, and so many more for each byte it has."""


SEEN = 8
"""Frames of an object by which the box of tissue is found that all are cropped to."""

WHOLE = 1_000_000
"""A side that no picture reaches: nothing is shrunk."""


@dataclass(frozen=True)
class Shown:
    """One frame on the screen.

    Attributes:
        frame_number: 1-based.
        pixels: uint8 (rows, columns) or (rows, columns, 3), 0 is black.
        aspect: height of a pixel divided by its width.
        steps: what was done, in order.
    """

    frame_number: int
    pixels: ByteArray
    aspect: float
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Frames:
    """The frames of an object, none of them decoded yet.

    `regions` are those that its header describes, for the crop. A waveform has `groups` in place of `layout` and
    `decoder`.
    """

    found: DicomObject
    name: str
    regions: tuple[UltrasoundRegion, ...]
    layout: Layout | None = None
    decoder: Decoder | None = None
    groups: multiplex.Groups = multiplex.NONE
    boxes: dict[Rendering, Box | None] = field(default_factory=dict, repr=False, compare=False)
    rendered: dict[Rendering, Pictures] = field(default_factory=dict, repr=False, compare=False)

    @property
    def count(self) -> int:
        """How many there are; of a waveform, the multiplex groups that are drawn."""
        return self.layout.frames if self.layout else len(self.groups.drawn)

    def windows(self, index: int) -> int:
        """How many windows and VOI LUTs the frame at `index` (0-based) has to choose from; at least 1."""
        with translated(f"{self.name} cannot be understood"):
            return own_windows(self.found.dataset, index)

    def pictures(self, rendering: Rendering, policy: str, max_frames: int) -> Iterator[Shown]:
        """The frames that the policy takes, ascending; at any time at most one is in memory.

        Args:
            rendering: what is wanted of each.
            policy: `all`, `every:N`, `spread` or `representative`; see `cbmir.dicom.choice`.
            max_frames: most frames, at least 1.

        Raises:
            cbmir.errors.BrokenFile, cbmir.errors.Undecodable: if one cannot be decoded.
            cbmir.errors.BadRequest: if there is no such policy.
        """
        for index in self.chosen(rendering, policy, max_frames):
            yield self.picture(index, rendering)

    def picture(self, index: int, rendering: Rendering) -> Shown:
        """The frame at `index` (0-based)."""
        if self.layout is None or self.decoder is None:
            return self._waveform(index, rendering)
        steps = list(self.found.mended)
        dataset = self.found.dataset
        with translated(f"{self.name}: frame {index + 1} cannot be converted"):
            pixels = self._pictures(self.layout, self.decoder, rendering).frame(index, steps)
            if rendering.crop == "tissue":
                pixels = _cropped(pixels, self._box(rendering), steps)
            return Shown(index + 1, pixels, aspect(dataset, index), tuple(steps))

    def _box(self, rendering: Rendering) -> Box | None:
        """The region of tissue, one for all frames: by the brightest of a few frames at each pixel."""
        if rendering not in self.boxes:
            whole = replace(rendering, crop="none", side=WHOLE)
            seen = choice.chosen(self.count, "spread", min(SEEN, self._affordable))
            brightest = reduce(np.maximum, (self.picture(index, whole).pixels for index in seen))
            self.boxes[rendering] = region(brightest, self.regions)
        return self.boxes[rendering]

    def _pictures(self, layout: Layout, decoder: Decoder, rendering: Rendering) -> Pictures:
        """What makes them; kept, since it remembers what all frames share."""
        if rendering not in self.rendered:
            self.rendered[rendering] = Pictures(self.found.dataset, layout, decoder, rendering, self.name)
        return self.rendered[rendering]

    def _waveform(self, index: int, rendering: Rendering) -> Shown:
        with translated(f"{self.name} has a waveform that cannot be drawn"):
            place = self.groups.drawn[index]
            drawn, said = waveforms.picture(self.found.dataset, self.name, rendering.waveform, place)
        return Shown(index + 1, to_bytes(drawn), 1.0, (*self.groups.said(index), *said))

    def chosen(self, rendering: Rendering, policy: str, max_frames: int) -> list[int]:
        """The indices (0-based, ascending) that a policy takes.

        `representative` looks at `choice.CANDIDATES`, and begins with the frame that the object itself names so.
        Fewer than it says where decoding would take far longer than the object's size explains.

        Raises:
            cbmir.errors.BadRequest: if there is no such policy.
        """
        if policy in ("spread", "representative"):
            max_frames = min(max_frames, self._affordable)
        if policy != "representative" or self.count <= max_frames:
            policy = "spread" if policy == "representative" else policy
            return choice.chosen(self.count, policy, max_frames, choice.limit(self.found.pixels.length))
        small, own = replace(rendering, side=choice.SIDE), self._own_representative
        seen = sorted({*choice.chosen(self.count, "spread", min(choice.CANDIDATES, self._affordable)), *own})
        thumbnails = [choice.thumbnail(self.picture(index, small).pixels) for index in seen]
        first = seen.index(own[0]) if own else None
        return [seen[each] for each in choice.representative(np.stack(thumbnails), max_frames, first)]

    @property
    def _own_representative(self) -> list[int]:
        """The index of the frame that Representative Frame Number names (PS3.3 C.7.6.9); empty without one."""
        number = values.number(self.found.dataset, "RepresentativeFrameNumber") if self.layout else None
        return [int(number) - 1] if number and 1 <= number <= self.count else []

    @property
    def _affordable(self) -> int:
        """How many frames an object may cost: a hundred kilobytes can hold dozens of the largest, all blank."""
        if self.layout is None:
            return MAX_SAMPLES // waveforms.SIDE**2
        most = MAX_SAMPLES + SAMPLES_PER_BYTE * self.found.pixels.length
        return max(1, most // (self.layout.rows * self.layout.columns * self.layout.samples))


def find_frames(
    found: DicomObject, name: str, *, max_pixels: int, regions: tuple[UltrasoundRegion, ...] = ()
) -> Frames:
    """Find the frames of an object, once it is sure that they can be tried.

    Args:
        found: as `cbmir.dicom.read.read_object` gives it.
        name: what the user calls the file.
        max_pixels: most pixels of one frame; checked before anything is decoded.
        regions: of an ultrasound picture, as the header describes them.

    Raises:
        cbmir.errors.NoPixels: if there are neither pixels nor a waveform; names the kind of object.
        cbmir.errors.Undecodable: if the pixels are in a private element.
        cbmir.errors.ImplausibleSize, cbmir.errors.BrokenFile, cbmir.errors.Undecodable: see `layout` and `decode`.
    """
    file = Octets.of(found.pixels.stream)
    with transferred.named(file, name), translated(f"{name} cannot be understood"):
        if found.keyword and not _is_left_empty(found):
            layout = read_layout(found, name, max_pixels=max_pixels)
            return Frames(found, name, regions, layout, decoder_for(found, layout, name))
        if waveforms.carries_waveform(found.dataset):
            return Frames(found, name, regions, groups=multiplex.find_groups(found.dataset, name))
        if "Image Storage" in kind(found.dataset) and transferred.was_text(file):
            raise transferred.damage(name)
        raise _no_pixels(found, name)


def _is_left_empty(found: DicomObject) -> bool:
    """Whether it is of a class that shows nothing, and its pixel element is empty: some writers give one to all."""
    return not found.pixels.length and not may_show(values.text(found.dataset, "SOPClassUID"))


def _cropped(pixels: ByteArray, box: Box | None, steps: list[str]) -> ByteArray:
    if box is None:
        return pixels
    top, left, bottom, right = box
    steps.append(f"cropped to tissue: rows {top + 1} to {bottom}, columns {left + 1} to {right}")
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _no_pixels(found: DicomObject, name: str) -> NoPixels | Undecodable:
    if how := privately_compressed(found.dataset):
        reason = f"{name} has its pixels in a private element, compressed in a way of Philips' own ({how})."
        return Undecodable(reason, "Have its scanner or archive send it uncompressed (Explicit VR Little Endian).")
    if "PixelDataProviderURL" in found.dataset:
        return NoPixels(f"{name} only points to pixels on another server (JPIP).", "Retrieve it with its pixels.")
    remedy = "Nothing to do if it is a report, a plan or the like; if it should be an image, send it again."
    return NoPixels(f"{name} carries neither pixels nor a waveform: {kind(found.dataset)}.", remedy)
