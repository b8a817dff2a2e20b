"""The few numbers of an encoder that was trained by labels: directions in what its network's maps say of pictures.

The means over some maps are brought to unit length and weighed; the directions in which pictures differ most are
kept. No label is looked at. What the constants were chosen by stands in docs/decisions/encoders.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cbmir.encoders import efficientnet_lite
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_lite import BESIDE
from cbmir.encoders.reduction import principal
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.types import FloatArray

DIMENSION = 48
SHARES = {"head": 0.15, "blocks.10": 0.2, "blocks.12": 0.2, f"{BESIDE}blocks.7": 0.45}
"""The maps that are looked at, and the share of all variance that each is given: little of the last blocks, which
know labels best and little else."""
WHITENING = 0.25
"""The power of the deviation that each direction is divided by in the end."""


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

    def components(self, seen: FloatArray) -> tuple[dict[str, FloatArray], FloatArray]:
        """The dense layer of an encoder for such pictures.

        Args:
            seen: of these, the features by `network`: float32 (n, c), finite.

        Returns:
            The weight for each map, float32 (`DIMENSION` or fewer, channels), and the bias, (so many,).
        """
        scale = self._scale(seen)
        found = principal(seen * scale, DIMENSION, whiten=WHITENING, at_most=True)
        parts = zip(self.sizes, self._split(found.weight * scale), strict=True)
        return {name: np.ascontiguousarray(each) for name, each in parts}, found.bias

    def tensors(self, seen: FloatArray) -> dict[str, FloatArray]:
        """The same, by the names in a weights file."""
        weights, bias = self.components(seen)
        return {f"reduce.{name}.weight": each for name, each in weights.items()} | {"reduce.bias": bias}

    def how(self) -> dict[str, Any]:
        """What the record of an encoder keeps of all this."""
        reduction = {"principal_components": DIMENSION, "whitening": WHITENING}
        return {"reduction": reduction, "maps": {name: SHARES[name] for name in self.sizes}}

    def _split(self, numbers: FloatArray) -> list[FloatArray]:
        """One part for each map."""
        return np.split(numbers, np.cumsum(list(self.sizes.values()))[:-1], axis=1)

    def _scale(self, seen: FloatArray) -> FloatArray:
        """A factor for each number, that gives each map its share of all variance: (c,)."""
        parts = zip(self.sizes, self._split(seen), strict=True)
        factors = [np.sqrt(SHARES[name] / _variance(each)) for name, each in parts]
        return np.repeat(np.array(factors, np.float32), list(self.sizes.values()))


def _variance(features: FloatArray) -> float:
    """Of all numbers together; above 0 though all pictures are alike."""
    return max(float(np.var(features, axis=0, dtype=np.float64).sum()), float(np.finfo(np.float32).tiny))
