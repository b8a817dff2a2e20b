"""ResNet50 as Keras has it (He et al., arXiv:1512.03385): a block's stride lies in its first convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.rivals import pooled

NAME = "resnet50"
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
"""Blocks, and filters of each block's inner convolutions, which the last one makes four times as many."""
WIDER = 4
CLASSES = 1000
EPSILON = 1e-3
BLUE_GREEN_RED = (103.939, 116.779, 123.68)
"""ImageNet's mean, in [0, 255]."""


class Norm(nn.Module):
    """A batch normalisation that has learned: of each channel a factor and an offset."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise by the recorded mean and variance."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        weight, bias = self.get_buffer("weight"), self.get_buffer("bias")
        return functional.batch_norm(inputs, mean, variance, weight, bias, eps=EPSILON)


class Block(nn.Module):
    """Three convolutions beside a short cut: (n, channels, side, side) -> (n, 4 filters, side / stride, …)."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        wide = WIDER * filters
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 1, stride, bias=False), Norm(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False), Norm(filters)
        self.conv3, self.bn3 = nn.Conv2d(filters, wide, 1, bias=False), Norm(wide)
        self.downsample = nn.Sequential()
        if channels != wide:
            self.downsample = nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), Norm(wide))

    def forward(self, inputs: Tensor) -> Tensor:
        """Add what the convolutions find to the short cut."""
        inner = functional.relu(self.bn1(self.conv1(inputs)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        return functional.relu(self.bn3(self.conv3(inner)) + self.downsample(inputs))


class ResNet50(nn.Module):
    """float32 (n, 3, side, side) in [0, 1], 224 when it was trained -> a map of 2,048 channels.

    `fc` names ImageNet's classes; the feature does without it, but it comes with the weights.
    """

    dimension = 2048

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), Norm(64)
        for number, stage in enumerate(_stages(), 1):
            self.add_module(f"layer{number}", stage)
        self.fc = nn.Linear(self.dimension, CLASSES)

    def maps(self, inputs: Tensor) -> Tensor:
        """See `cbmir.encoders.rivals.pooled.Rival.maps`."""
        coloured = 255 * inputs.flip(1) - inputs.new_tensor(BLUE_GREEN_RED).view(1, 3, 1, 1)
        maps = functional.relu(self.bn1(self.conv1(coloured)))
        maps = functional.max_pool2d(maps, 3, stride=2, padding=1)
        for number in range(1, len(STAGES) + 1):
            maps = self.get_submodule(f"layer{number}")(maps)
        return maps


def _stages() -> Iterator[nn.Module]:
    channels = 64
    for number, (blocks, filters) in enumerate(STAGES):
        first = Block(channels, filters, stride=2 if number else 1)
        channels = WIDER * filters
        yield nn.Sequential(first, *(Block(channels, filters, 1) for _ in range(blocks - 1)))


def load(data: bytes, name: str, preprocessing: Preprocessing) -> Encoder:
    """See `cbmir.encoders.rivals.pooled.load`."""
    network = pooled.load(ResNet50(), data, name, preprocessing, 3)
    return pooled.PooledEncoder(NAME, cast(ResNet50, network), preprocessing)
