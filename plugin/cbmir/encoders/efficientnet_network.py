"""EfficientNet-Lite0 as torch trains it; `efficientnet_lite` runs the outcome.

The names in the network's state are those that `efficientnet_lite` reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from cbmir.encoders.efficientnet_lite import EPSILON, HEAD, STEM, blocks
from cbmir.encoders.efficientnet_lite import Block as Shape

MOMENTUM = 0.05
"""Of the norms' running means: about the last twenty batches."""
DROPOUT = 0.2
KEPT_BLOCKS = 5
"""Blocks from the input on whose weights stay as they are: edges and textures are the same in every picture."""

SECOND_ENDING = range(KEPT_BLOCKS, 8)
"""Blocks that are there twice, once as they were before the training."""


class NormedConv(nn.Conv2d):
    """A convolution with a batch norm behind it, padded as TensorFlow does: at stride 2 more to the right.

    Args:
        channels: of the input.
        out: channels of the output.
        kernel: side of the filter in pixels, odd.
        stride: 1 or 2.
        groups: of channels that do not mix.
    """

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=EPSILON, momentum=MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (n, channels, side, side) -> (n, out, side / stride, side / stride)."""
        kernel, stride, side = self.kernel_size[0], self.stride[0], x.shape[-1]
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        before, behind = missing // 2, missing - missing // 2
        if before != behind:
            x, before = functional.pad(x, (before, behind, before, behind)), 0
        normed: Tensor = self.norm(functional.conv2d(x, self.weight, None, stride, before, 1, self.groups))
        return normed


class Block(nn.Module):
    """Widen, filter by depth, narrow; where the shape stays, the input is added."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        wide = channels * shape.widening
        self.widen = NormedConv(channels, wide) if shape.widening > 1 else None
        self.depthwise = NormedConv(wide, wide, shape.kernel, shape.stride, groups=wide)
        self.narrow = NormedConv(wide, shape.channels)
        self._adds = shape.stride == 1 and shape.channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """float32 (n, channels, side, side) -> (n, shape.channels, side / stride, side / stride)."""
        y = x if self.widen is None else functional.relu6(self.widen(x))
        y = self.narrow(functional.relu6(self.depthwise(y)))
        added: Tensor = x + y if self._adds else y
        return added


class EfficientNetLite(nn.Module):
    """float32 (n, 1, side, side) in [0, 1] -> the mean over the last map, of unit length: (n, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = NormedConv(1, STEM, 3, 2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = NormedConv(tuple(blocks())[-1].channels, HEAD)
        self._dropout = nn.Dropout(DROPOUT)
        for part in self.kept():
            part.requires_grad_(False)

    def kept(self) -> tuple[nn.Module, ...]:
        """The parts whose weights and norms stay as they are."""
        return (self.stem, *list(self.blocks)[:KEPT_BLOCKS])

    def train(self, mode: bool = True) -> EfficientNetLite:
        """As of every module, but the norms of the kept parts stay as they are."""
        super().train(mode)
        for part in self.kept():
            part.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """By way of a dropout while training."""
        with torch.no_grad():
            x = self.blocks[:KEPT_BLOCKS](functional.relu6(self.stem(inputs)))
        x = self.blocks[KEPT_BLOCKS:](x)
        return functional.normalize(self._dropout(functional.relu6(self.head(x)).mean((2, 3))))


def is_kept(name: str) -> bool:
    """Whether a tensor of the network's state belongs to the parts that stay as they are."""
    return name.startswith(("stem.", *(f"blocks.{number}." for number in range(KEPT_BLOCKS))))


def is_of_second(name: str) -> bool:
    """Whether a tensor of the network's state belongs to the blocks that are there twice."""
    return name.startswith(tuple(f"blocks.{number}." for number in SECOND_ENDING))


def _blocks() -> Iterator[Block]:
    channels = STEM
    for shape in blocks():
        yield Block(channels, shape)
        channels = shape.channels
