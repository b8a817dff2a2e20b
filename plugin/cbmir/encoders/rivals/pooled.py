"""A network's last map, averaged over its pixels, as a feature."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.photographs import DEVIATION, MEAN
from cbmir.errors import WeightsMismatch
from cbmir.types import FloatArray

AT_ONCE = 8
"""Pictures that go through the network together."""


class Rival(Protocol):
    """What a rival's network has beside its layers."""

    dimension: int

    def maps(self, inputs: Tensor) -> Tensor:
        """float32 (n, channels, side, side) in [0, 1] -> the last map, (n, dimension, rows, columns)."""


class PooledEncoder:
    """A `cbmir.encoders.base.Encoder`: the mean of a network's last map."""

    def __init__(self, architecture: str, network: Rival, preprocessing: Preprocessing) -> None:
        self.architecture = architecture
        self.dimension = network.dimension
        self.preprocessing = preprocessing
        self._network = network

    def encode(self, inputs: FloatArray) -> FloatArray:
        """See `cbmir.encoders.base.Encoder.encode`."""
        with torch.inference_mode():
            pieces = torch.split(torch.from_numpy(np.require(inputs, np.float32, ("C", "W"))), AT_ONCE)
            formatted = (piece.contiguous(memory_format=torch.channels_last) for piece in pieces)
            features: FloatArray = torch.cat([self._network.maps(each).mean((2, 3)) for each in formatted]).numpy()
            return features


def load(network: nn.Module, data: bytes, name: str, preprocessing: Preprocessing, channels: int) -> nn.Module:
    """The network with these weights, ready to encode; torch is set to one thread.

    Args:
        network: of the architecture.
        data: safetensors of all its tensors.
        name: of their file, for the error.
        preprocessing: as it is recorded.
        channels: that the network takes.

    Raises:
        cbmir.errors.WeightsMismatch: if weights or channels do not fit.
    """
    if preprocessing.channels != channels:
        said = f"{preprocessing.channels} channels, not {channels}"
        raise WeightsMismatch(f"The weights file {name} is recorded with {said}.")
    torch.set_num_threads(1)
    weights.fill(network, weights.from_bytes(data, name), name)
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def normalised(inputs: Tensor) -> Tensor:
    """RGB in [0, 1], less ImageNet's mean and divided by its spread."""
    mean, spread = (inputs.new_tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    return (inputs - mean) / spread
