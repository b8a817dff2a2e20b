"""A network's last map, averaged over its pixels, as a feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.device import device
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
        return encoded(lambda piece: self._network.maps(piece).mean((2, 3)), inputs)


def encoded(features: Callable[[Tensor], Tensor], inputs: FloatArray) -> FloatArray:
    """What a loaded network makes of pictures, a few at a time.

    Args:
        features: of float32 (n, channels, side, side) on the network's device, (n, dimension).
        inputs: float32 (n, channels, side, side).
    """
    with torch.inference_mode():
        pieces = torch.split(torch.from_numpy(np.require(inputs, np.float32, ("C", "W"))), AT_ONCE)
        moved = (piece.to(device()).contiguous(memory_format=torch.channels_last) for piece in pieces)
        found: FloatArray = torch.cat([features(each) for each in moved]).cpu().numpy()
        return found


def load(network: nn.Module, data: bytes, name: str, preprocessing: Preprocessing, channels: int) -> nn.Module:
    """The network with these weights, ready to encode, on a graphics card where torch finds one.

    Torch is set to one thread, and a card to whole float32, so that its features are those of a processor.

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
    torch.backends.cudnn.allow_tf32 = False
    weights.fill(network, weights.from_bytes(data, name), name)
    return network.eval().to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def normalised(inputs: Tensor) -> Tensor:
    """RGB in [0, 1], less ImageNet's mean and divided by its spread."""
    mean, spread = (inputs.new_tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    return (inputs - mean) / spread
