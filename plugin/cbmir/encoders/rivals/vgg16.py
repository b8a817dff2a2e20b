"""VGG16 (Simonyan and Zisserman, arXiv:1409.1556): its thirteen convolutions, without the dense layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.rivals import pooled

NAME = "vgg16"
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of each convolution; the side is halved between two blocks."""


class Vgg16(nn.Module):
    """float32 (n, 3, side, side) in [0, 1], side 16 at least, 224 when it was trained -> a map of 512 channels."""

    dimension = 512

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())

    def maps(self, inputs: Tensor) -> Tensor:
        """See `cbmir.encoders.rivals.pooled.Rival.maps`."""
        return cast(Tensor, self.features(pooled.normalised(inputs)))


def _layers() -> Iterator[nn.Module]:
    channels = 3
    for number, block in enumerate(BLOCKS):
        if number:
            yield nn.MaxPool2d(2)
        for filters in block:
            yield nn.Conv2d(channels, filters, 3, padding=1)
            yield nn.ReLU(inplace=True)
            channels = filters


def load(data: bytes, name: str, preprocessing: Preprocessing) -> Encoder:
    """See `cbmir.encoders.rivals.pooled.load`."""
    network = pooled.load(Vgg16(), data, name, preprocessing, 3)
    return pooled.PooledEncoder(NAME, cast(Vgg16, network), preprocessing)
