"""A deep convolutional network of the kind of Qayyum et al. (Neurocomputing 266, 2017), small.

It learns from scratch to name the label of a picture; the layer before the names gives the feature.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.rivals import pooled
from cbmir.errors import WeightsMismatch
from cbmir.types import FloatArray

NAME = "dcnn"
DIMENSION = 48
FILTERS = (32, 64, 128, 128, 128)
HALVED = 3
"""So many of the convolutions are followed by a halving of the side."""
NAMES = "names.weight"


class Dcnn(nn.Module):
    """float32 (n, 1, side, side) in [0, 1] -> a score for each label, (n, labels).

    Args:
        labels: how many there are.
    """

    dimension = DIMENSION

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*_layers())
        self.feature = nn.Linear(FILTERS[-1], DIMENSION)
        self.names = nn.Linear(DIMENSION, labels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Score the labels."""
        scores: Tensor = self.names(functional.relu(self.features(inputs)))
        return scores

    def features(self, inputs: Tensor) -> Tensor:
        """float32 (n, 1, side, side) in [0, 1] -> (n, 48)."""
        features: Tensor = self.feature(self.convolutions(inputs).mean((2, 3)))
        return features

    def initialise(self, seed: int) -> None:
        """Draw all weights anew, as torch does by default; the same seed gives the same weights."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.reset_parameters()


def _layers() -> Iterator[nn.Module]:
    channels = 1
    for number, filters in enumerate(FILTERS):
        yield nn.Conv2d(channels, filters, 3, padding=1)
        yield nn.ReLU(inplace=True)
        if number < HALVED:
            yield nn.MaxPool2d(2)
        channels = filters


class DcnnEncoder:
    """A `cbmir.encoders.base.Encoder`: the layer before the names."""

    architecture = NAME
    dimension = DIMENSION

    def __init__(self, network: Dcnn, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self._network = network

    def encode(self, inputs: FloatArray) -> FloatArray:
        """See `cbmir.encoders.base.Encoder.encode`."""
        return pooled.encoded(self._network.features, inputs)


def load(data: bytes, name: str, preprocessing: Preprocessing) -> DcnnEncoder:
    """The encoder of a trained network; see `cbmir.encoders.rivals.pooled.load`."""
    names = weights.from_bytes(data, name).get(NAMES)
    if names is None or names.ndim != 2:
        raise WeightsMismatch(f"The weights file {name} does not fit: {NAMES} is missing, or no matrix.")
    network = Dcnn(len(names))
    pooled.load(network, data, name, preprocessing, 1)
    return DcnnEncoder(network, preprocessing)
