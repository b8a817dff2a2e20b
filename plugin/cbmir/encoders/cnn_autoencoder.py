"""The convolutional autoencoder of the paper; its encoder half gives the feature.

Encoder: three convolutions, 128 filters of 3 x 3, stride 2, LeakyReLU(0.2), then a dense layer to 48 numbers.
Decoder: the mirror, with transposed convolutions. See docs/decisions/0001-autoencoder.md.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.strided import Doubling, Halving
from cbmir.errors import BadRequest, WeightsMismatch
from cbmir.types import FloatArray

NAME = "cnn-autoencoder"
DIMENSION = 48
FILTERS = 128
LAYERS = 3
SHRINK = 2**LAYERS
SLOPE = 0.2
AT_ONCE = 16
"""Pictures that go through the network together: their activations then stay in the processor's cache."""


class CnnAutoencoder(nn.Module):
    """float32 (n, 1, side, side) in [0, 1] -> the reconstruction, of the same shape and range.

    Args:
        side: of the input in pixels, a multiple of 8.

    Raises:
        cbmir.errors.BadRequest: if it is not.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        if side < SHRINK or side % SHRINK:
            raise BadRequest(f"An input of {side} pixels a side does not halve {LAYERS} times.", "Try 64 or 128.")
        small = side // SHRINK
        flat = FILTERS * small * small
        self.encoder = nn.Sequential(
            *_down(1),  # (n, 128, side/2, side/2)
            *_down(FILTERS),
            *_down(FILTERS),  # (n, 128, side/8, side/8)
            nn.Flatten(),
            nn.Linear(flat, DIMENSION),
        )
        self.decoder = nn.Sequential(
            nn.Linear(DIMENSION, flat),
            nn.Unflatten(1, (FILTERS, small, small)),
            *_up(),
            *_up(),
            *_up(),  # (n, 128, side, side)
            nn.ConvTranspose2d(FILTERS, 1, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode and decode."""
        reconstruction: Tensor = self.decoder(self.encoder(inputs))
        return reconstruction

    def initialise(self, seed: int) -> None:
        """Draw all weights anew, as torch does by default; the same seed gives the same weights."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                    module.reset_parameters()


def _down(channels: int) -> tuple[nn.Module, ...]:
    return Halving(channels, FILTERS), nn.LeakyReLU(SLOPE, inplace=True)


def _up() -> tuple[nn.Module, ...]:
    return Doubling(FILTERS, FILTERS), nn.LeakyReLU(SLOPE, inplace=True)


class CnnEncoder:
    """A `cbmir.encoders.base.Encoder`: the encoder half of a trained autoencoder."""

    architecture = NAME
    dimension = DIMENSION

    def __init__(self, network: CnnAutoencoder, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self._half = network.encoder.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, inputs: FloatArray) -> FloatArray:
        """See `cbmir.encoders.base.Encoder.encode`."""
        with torch.inference_mode():
            pieces = torch.split(torch.from_numpy(np.require(inputs, np.float32, ("C", "W"))), AT_ONCE)
            encoded = [self._half(piece.contiguous(memory_format=torch.channels_last)) for piece in pieces]
            features: FloatArray = torch.cat(encoded).numpy()
            return features


def load(data: bytes, name: str, preprocessing: Preprocessing) -> CnnEncoder:
    """The encoder of a trained autoencoder.

    Sets torch to one thread: on a busy machine that is steadier, and who encodes much does so by several threads.

    Args:
        data: safetensors of the whole autoencoder, encoder and decoder.
        name: of their file, for the error.
        preprocessing: one channel, the side that the network was trained with.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture at this side.
    """
    if preprocessing.channels != 1:
        raise WeightsMismatch(f"The weights file {name} is recorded with {preprocessing.channels} channels, not 1.")
    torch.set_num_threads(1)
    network = CnnAutoencoder(preprocessing.side)
    weights.fill(network, weights.from_bytes(data, name), name)
    return CnnEncoder(network, preprocessing)
