"""AlexNet as torchvision has it (Krizhevsky, arXiv:1404.5997): its five convolutions, without the dense layers."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.rivals import pooled

NAME = "alexnet"


class AlexNet(nn.Module):
    """float32 (n, 3, side, side) in [0, 1], side 31 at least, 224 when it was trained -> a map of 256 channels."""

    dimension = 256

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    def maps(self, inputs: Tensor) -> Tensor:
        """See `cbmir.encoders.rivals.pooled.Rival.maps`."""
        return cast(Tensor, self.features(pooled.normalised(inputs)))


def load(data: bytes, name: str, preprocessing: Preprocessing) -> Encoder:
    """See `cbmir.encoders.rivals.pooled.load`."""
    network = pooled.load(AlexNet(), data, name, preprocessing, 3)
    return pooled.PooledEncoder(NAME, cast(AlexNet, network), preprocessing)
