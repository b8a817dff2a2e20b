"""One frame of a DICOM image to the picture that a reader would see (PS3.3 C.7.6.3, C.11; PS3.4 N.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydicom import Dataset

from cbmir.dicom import overlays, values
from cbmir.dicom.colour import from_palette, said, to_rgb
from cbmir.dicom.decode import Decoded, Decoder
from cbmir.dicom.grey import GreyScale
from cbmir.dicom.halving import halvings
from cbmir.dicom.layout import GREY, PALETTE, Layout
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.shutter import Mask, Shutter, read_shutter
from cbmir.types import ByteArray


@dataclass(frozen=True)
class Pictures:
    """The pictures of one object, as they are wanted; what all frames share is read once.

    Attributes:
        dataset: the object's header.
        layout: the object's.
        decoder: of its frames.
        rendering: what is wanted.
        name: what the user calls the object.
    """

    dataset: Dataset
    layout: Layout
    decoder: Decoder
    rendering: Rendering
    name: str

    def frame(self, index: int, steps: list[str]) -> ByteArray:
        """Decode the frame at `index` (0-based) and bring it to the screen.

        Args:
            index: of the frame.
            steps: what is done is added to it.

        Returns:
            uint8, 0 is black: (rows, columns) for grey, (rows, columns, 3) for RGB; smaller than the frame where it
            is to be shrunk anyway and its codec gives fewer pixels for less.

        Raises:
            cbmir.errors.BrokenFile, cbmir.errors.Undecodable: as `cbmir.dicom.decode.Decoder.frame` does.
        """
        decoded = self.decoder.frame(index, self._halvings(index))
        steps.append(f"decoded: {decoded.by}")
        hidden, hides = self._hidden(index)
        shown = self._shown(decoded, index, hidden, steps)
        if decoded.shifted:
            shown = centred(shown, decoded.shifted)
        if hidden is not None:
            steps.append(hides)
            shown = np.where(hidden if shown.ndim == 2 else hidden[..., None], np.uint8(0), shown)
        steps.extend(self._left_out)
        return self._with_overlays(shown, decoded, index) if self.rendering.overlays else shown

    def _halvings(self, index: int) -> int:
        return halvings(self.dataset, self.layout, index, self.rendering, self._grey_scale)

    def _hidden(self, index: int) -> tuple[Mask | None, str]:
        """What the display shutter hides of a frame, and that in words; kept, as most frames have the same."""
        shutter = read_shutter(self.dataset, index)
        if shutter is None:
            return None, ""
        if shutter not in self._masks:
            self._masks.clear()
            self._masks[shutter] = shutter.hidden(self.layout.rows, self.layout.columns)
        return self._masks[shutter], shutter.said

    @cached_property
    def _masks(self) -> dict[Shutter, Mask | None]:
        return {}

    def _shown(self, decoded: Decoded, index: int, hidden: Mask | None, steps: list[str]) -> ByteArray:
        if self.layout.photometric == PALETTE:
            steps.append("palette looked up")
            return from_palette(decoded.values, self.dataset, self.name)
        if self.layout.samples == 3:
            if decoded.marked:
                steps.append(f"colours as the frame marks them: {decoded.marked}")
            if how := said(decoded.marked or self.layout.photometric, decoded.photometric):
                steps.append(how)
            return to_rgb(decoded.values, self.layout, decoded.photometric)
        return self._grey_scale.frame(decoded.values, index, steps, hidden)

    @cached_property
    def _grey_scale(self) -> GreyScale:
        return GreyScale(self.dataset, self.layout, self.rendering)

    @cached_property
    def _left_out(self) -> list[str]:
        left_out = ["ICC profile ignored"] if values.has(self.dataset, "ICCProfile") else []
        if self.layout.photometric in GREY and values.has(self.dataset, "RedPaletteColorLookupTableDescriptor"):
            left_out.append(
                "supplemental palette ignored: shown as grey"
            )  # which the standard leaves to the reader
        if count := overlays.count(self.dataset):
            left_out.append(f"{count} overlay plane(s) {'drawn' if self.rendering.overlays else 'left out'}")
        return left_out

    def _with_overlays(self, shown: ByteArray, decoded: Decoded, index: int) -> ByteArray:
        drawn = overlays.read_overlays(self.dataset, index, (shown.shape[0], shown.shape[1]), decoded.cells)
        return np.where(drawn if shown.ndim == 2 else drawn[..., None], np.uint8(255), shown)


def centred(shown: ByteArray, halvings: int) -> ByteArray:
    """Undo the shift of a halved frame, whose samples lie where the first of those they stand for did.

    Args:
        shown: uint8 (rows, columns).
        halvings: how often it was halved.

    Returns:
        The same, moved to the middle by linear interpolation: half a pixel of the whole frame for one halving.
    """
    share = np.float32((2**halvings - 1) / 2 ** (halvings + 1))
    padded = np.pad(shown, ((0, 1), (0, 1)), mode="edge").astype(np.float32)
    across = (1 - share) * padded[:, :-1] + share * padded[:, 1:]
    return np.asarray((1 - share) * across[:-1] + share * across[1:] + np.float32(0.5)).astype(np.uint8)
