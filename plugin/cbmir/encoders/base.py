"""What an encoder is: a picture goes in, prepared in a recorded way, and a feature comes out. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol, Self

import numpy as np
from PIL import Image

from cbmir.errors import WeightsMismatch
from cbmir.types import ByteArray, FloatArray

CHANNELS = (1, 3)
ORDERS = ("RGB", "BGR")
LARGEST_SIDE = 4096
METHOD = {"resize": "box", "grey": "itu-r-601", "range": [0.0, 1.0]}
"""How pictures are prepared, as it is recorded with every encoder; see docs/decisions/0001-autoencoder.md."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes an encoder's input: the whole of it is resized, by the mean of each output pixel's
    area, to a square; colours become luma by ITU-R BT.601 where the encoder wants one channel; 0 to 255 becomes
    0 to 1, then `mean` is subtracted and the rest divided by `std`.

    Attributes:
        side: of the input, in pixels.
        channels: 1 for grey, 3 for colours.
        mean, std: of each channel, in the order of `order`; empty where nothing is subtracted, nothing divided.
        order: of three channels: RGB or BGR.
    """

    side: int
    channels: int = 1
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    order: str = "RGB"

    def resized(self, pixels: ByteArray) -> ByteArray:
        """The input before it is scaled: uint8, shape (channels, side, side).

        Args:
            pixels: uint8, shape (rows, columns) for grey or (rows, columns, 3) for RGB.
        """
        one = self.channels == 1 or pixels.ndim == 2  # grey is made small once, however many channels are wanted
        image = Image.fromarray(pixels).convert("L" if one else "RGB")
        square = np.asarray(image.resize((self.side, self.side), Image.Resampling.BOX))
        if one:
            return np.repeat(square[None], self.channels, axis=0)
        return np.ascontiguousarray(square.transpose(2, 0, 1))

    def apply(self, pixels: ByteArray) -> FloatArray:
        """The input: float32, shape (channels, side, side), range [0, 1] unless `mean` and `std` make it another.

        Args:
            pixels: uint8, shape (rows, columns) for grey or (rows, columns, 3) for RGB.
        """
        values = scaled(self.resized(pixels))
        if self.order == "BGR":
            values = np.ascontiguousarray(values[::-1])
        if self.mean:
            values -= np.array(self.mean, np.float32)[:, None, None]
        if self.std:
            values /= np.array(self.std, np.float32)[:, None, None]
        return values

    def as_json(self) -> dict[str, Any]:
        """As it is recorded with an encoder."""
        numbers = {name: list(values) for name, values in (("mean", self.mean), ("std", self.std)) if values}
        order = {"order": self.order} if self.order != "RGB" else {}
        return {"side": self.side, "channels": self.channels, **METHOD, **numbers, **order}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `as_json` gave; the method may be left out.

        Raises:
            cbmir.errors.WeightsMismatch: if it asks for something that is not done here.
        """
        method = {name: document.get(name, value) for name, value in METHOD.items()}
        try:
            mean, std = (tuple(map(float, document.get(name, ()))) for name in ("mean", "std"))
            wanted = cls(document["side"], document.get("channels", 1), mean, std, document.get("order", "RGB"))
        except (KeyError, TypeError, ValueError):
            wanted = None
        if wanted is None or method != METHOD or not wanted.can_be_done:
            raise WeightsMismatch(
                f"The preprocessing {json.dumps(dict(document))} is not one that this version can do."
            )
        return wanted

    @property
    def can_be_done(self) -> bool:
        """Whether every value is in its range: 1 to 4096 pixels, 1 or 3 channels, one finite number for each."""
        numbers = all(
            len(values) in (0, self.channels) and all(map(isfinite, values)) for values in (self.mean, self.std)
        )
        side = isinstance(self.side, int) and 1 <= self.side <= LARGEST_SIDE
        layout = self.channels in CHANNELS and self.order in ORDERS
        return side and layout and numbers and min(self.std, default=1) > 0


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
            inputs: float32, shape (n, channels, side, side), as `preprocessing` makes them.

        Returns:
            float32, shape (n, dimension).
        """
