"""The convolutional autoencoder of the paper, as it is trained; `cnn_encoder` runs its encoder half.

Encoder: three convolutions, 128 filters of 3 x 3, stride 2, LeakyReLU(0.2), then a dense layer to 48 numbers.
Decoder: the mirror, with transposed convolutions. See docs/decisions/0001-autoencoder.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cbmir.encoders.cnn_encoder import DIMENSION, FILTERS, LAYERS, SHRINK, SLOPE
from cbmir.encoders.strided import Doubling, Halving
from cbmir.errors import BadRequest


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
