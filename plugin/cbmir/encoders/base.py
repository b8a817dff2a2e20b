"""What an encoder is: a picture goes in, prepared in a recorded way, and a feature comes out. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from PIL import Image

from cbmir.errors import WeightsMismatch
from cbmir.types import ByteArray, FloatArray

MODES = {1: "L", 3: "RGB"}
METHOD = {"resize": "box", "grey": "itu-r-601", "range": [0.0, 1.0]}
"""How pictures are prepared, as it is recorded with every encoder; see docs/decisions/0001-autoencoder.md."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes an encoder's input: the whole of it is resized, by the mean of each output pixel's
    area, to a square; colours become luma by ITU-R BT.601 where the encoder wants one channel.

    Attributes:
        side: of the input, in pixels.
        channels: 1 for grey, 3 for RGB.
    """

    side: int
    channels: int = 1

    def resized(self, pixels: ByteArray) -> ByteArray:
        """The input before it is scaled: uint8, shape (channels, side, side).

        Args:
            pixels: uint8, shape (rows, columns) for grey or (rows, columns, 3) for RGB.
        """
        image = Image.fromarray(pixels).convert(MODES[self.channels])
        square = np.asarray(image.resize((self.side, self.side), Image.Resampling.BOX))
        return square[None] if self.channels == 1 else np.ascontiguousarray(square.transpose(2, 0, 1))

    def apply(self, pixels: ByteArray) -> FloatArray:
        """The input: float32, shape (channels, side, side), range [0, 1].

        Args:
            pixels: uint8, shape (rows, columns) for grey or (rows, columns, 3) for RGB.
        """
        return scaled(self.resized(pixels))

    def as_json(self) -> dict[str, Any]:
        """As it is recorded with an encoder."""
        return {"side": self.side, "channels": self.channels, **METHOD}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `as_json` gave; the method may be left out.

        Raises:
            cbmir.errors.WeightsMismatch: if it asks for something that is not done here.
        """
        side, channels = document.get("side"), document.get("channels", 1)
        method = {name: document.get(name, value) for name, value in METHOD.items()}
        if not isinstance(side, int) or not 1 <= side <= 4096 or channels not in MODES or method != METHOD:
            raise WeightsMismatch(f"The preprocessing {dict(document)} is not one that this version can do.")
        return cls(side=side, channels=channels)


def scaled(values: ByteArray) -> FloatArray:
    """uint8 [0, 255] to float32 [0, 1], of the same shape."""
    return values.astype(np.float32) / np.float32(255)


class Encoder(Protocol):
    """A trained network that is ready to encode."""

    architecture: str
    dimension: int
    preprocessing: Preprocessing

    def encode(self, inputs: FloatArray) -> FloatArray:
        """Features of prepared pictures; what one gets does not depend on the others. May be called by threads.

        Args:
            inputs: float32, shape (n, channels, side, side), range [0, 1], as `preprocessing` makes them.

        Returns:
            float32, shape (n, dimension).
        """
