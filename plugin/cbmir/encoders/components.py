"""The few numbers of an encoder that was trained by labels: directions in what its network's maps say of pictures.

The means over some maps are brought to unit length and weighed. Directions that change when a picture is only
taken otherwise (`variation`) are made small, as those who recognise speakers treat what varies within a voice
(within-class covariance normalisation: Hatch, Kajarekar and Stolcke, 2006); of what is left, the directions in
which pictures differ most are kept. No label is looked at. What the constants were chosen by stands in
docs/decisions/encoders.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.encoders import efficientnet_lite
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_lite import BESIDE
from cbmir.encoders.reduction import principal
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.variation import varied
from cbmir.types import ByteArray, FloatArray

DIMENSION = 48
SHARES = {"head": 0.15, "blocks.10": 0.2, "blocks.12": 0.2, f"{BESIDE}blocks.7": 0.45}
"""The maps that are looked at, and the share of all variance that each is given: little of the last blocks, which
know labels best and little else."""
STEADINESS = 0.9
"""How much less a direction weighs for what it changes between a picture and the same taken otherwise: 0 not at
all, 1 so much that all directions change alike."""
WHITENING = 0.25
"""The power of the deviation that each direction is divided by in the end."""
HOW = {"principal_components": DIMENSION, "whitening": WHITENING, "steadiness": STEADINESS}
"""As the record of an encoder keeps it."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """What a network's maps say of pictures.

    Attributes:
        network: whose feature is the means over the maps, each of unit length, one behind the other.
        sizes: the channels of each map, by its name, in this order.
    """

    network: OnnxEncoder
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, data: bytes, name: str, preprocessing: Preprocessing) -> Views:
        """Those of a weights file, as far as it has the maps; see `efficientnet_lite.looking_at`."""
        return cls(*efficientnet_lite.looking_at(data, name, preprocessing, SHARES))

    def see(self, picture: ByteArray) -> FloatArray:
        """A picture and the same taken otherwise: uint8 (rows, columns) or (rows, columns, 3) -> float32 (2, c)."""
        preprocessing = self.network.preprocessing
        small = preprocessing.resized(picture)[0]
        return self.network.encode(np.stack([preprocessing.apply(each) for each in (small, varied(small))]))

    def components(self, seen: FloatArray) -> tuple[dict[str, FloatArray], FloatArray]:
        """The dense layer of an encoder for such pictures.

        Args:
            seen: float32 (n, 2, c), of `see`; finite.

        Returns:
            The weight for each map, float32 (`DIMENSION` or fewer, channels), and the bias, (so many,).
        """
        scale = self._scale(seen[:, 0])
        steady = steadying((seen[:, 1] - seen[:, 0]) * scale)
        steadied = np.asarray(seen[:, 0] * scale @ steady, np.float32)
        found = principal(steadied, DIMENSION, whiten=WHITENING, at_most=True)
        weight = found.weight @ steady * scale
        parts = zip(self.sizes, self._split(weight), strict=True)
        return {name: np.ascontiguousarray(each, np.float32) for name, each in parts}, found.bias

    def tensors(self, seen: FloatArray) -> dict[str, FloatArray]:
        """The same, by the names in a weights file."""
        weights, bias = self.components(seen)
        return {f"reduce.{name}.weight": each for name, each in weights.items()} | {"reduce.bias": bias}

    def shares(self) -> dict[str, float]:
        """Of the maps that are there."""
        return {name: SHARES[name] for name in self.sizes}

    def how(self) -> dict[str, Any]:
        """What the record of an encoder keeps of all this."""
        return {"reduction": HOW, "maps": self.shares()}

    def _split(self, numbers: FloatArray | Matrix) -> list[np.ndarray]:
        """One part for each map."""
        return np.split(numbers, np.cumsum(list(self.sizes.values()))[:-1], axis=1)

    def _scale(self, plain: FloatArray) -> Matrix:
        """A factor for each number, that gives each map its share of all variance: (c,)."""
        parts = zip(self.sizes, self._split(plain), strict=True)
        factors = [np.sqrt(SHARES[name] / _variance(each)) for name, each in parts]
        return np.repeat(factors, list(self.sizes.values()))


def steadying(changes: Matrix) -> Matrix:
    """The map that makes small what changes where nothing should: symmetric, (c, c).

    Args:
        changes: of features, between two pictures of the same; (n, c).
    """
    count, dimension = changes.shape
    together = changes.T @ changes / count
    trace = max(float(np.trace(together)), float(np.finfo(np.float32).tiny))
    mixed = STEADINESS * together * dimension / trace + (1 - STEADINESS) * np.eye(dimension)
    values, directions = np.linalg.eigh(mixed)
    return np.asarray(directions / np.sqrt(values) @ directions.T)


def _variance(features: FloatArray) -> float:
    """Of all numbers together; above 0 though all pictures are alike."""
    return max(float(np.var(features, axis=0, dtype=np.float64).sum()), float(np.finfo(np.float32).tiny))
