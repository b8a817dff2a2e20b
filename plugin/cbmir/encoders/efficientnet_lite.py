"""EfficientNet-Lite0, ready to encode: a small network for processors, trained on photographs. No torch here.

A stem, sixteen blocks that widen, filter by depth and narrow again, a head of 1,280 channels, and their means over
the map. Batch norms are folded into the convolutions; activations are ReLU6. From 'EfficientNet: Rethinking Model
Scaling for Convolutional Neural Networks' (Tan and Le, 2019), less its squeeze-and-excitation and swish.

The tensors of its file, float32 or float16: the `weight` and the `norm` of `stem`, of `blocks.0` to `blocks.15`
with `widen` (not in the first), `depthwise` and `narrow`, and of `head`. Two parts may be absent. `reduce` is a
dense layer after the mean was brought to unit length. `beside.blocks.N` to `beside.blocks.15` and `beside.head` are
a second ending, which starts from the same map as `blocks.N`: its mean, of unit length too, stands behind the first
one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cbmir.encoders.base import Preprocessing
from cbmir.encoders.graph import INPUT, Graph
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.tensors import Tensors

NAME = "efficientnet-lite0"
STEM, HEAD = 32, 1280
BESIDE = "beside."
EPSILON = 1e-3
"""Of the batch norms."""


@dataclass(frozen=True)
class Block:
    """One block: the side of its filters, their stride, how many times it widens, and its channels."""

    kernel: int
    stride: int
    widening: int
    channels: int


STAGES = (
    (1, Block(3, 1, 1, 16)),
    (2, Block(3, 2, 6, 24)),
    (2, Block(5, 2, 6, 40)),
    (3, Block(3, 2, 6, 80)),
    (3, Block(5, 1, 6, 112)),
    (4, Block(5, 2, 6, 192)),
    (1, Block(3, 1, 6, 320)),
)
"""How many blocks of each kind follow one another; only the first of a stage has its stride."""


def blocks() -> Iterator[Block]:
    """All sixteen, in order."""
    for count, first in STAGES:
        yield first
        for _ in range(count - 1):
            yield Block(first.kernel, 1, first.widening, first.channels)


def load(data: bytes, name: str, preprocessing: Preprocessing) -> OnnxEncoder:
    """The encoder of a weights file; its dimension is 1,280, or that of `reduce`.

    Args:
        data: safetensors, with the tensors that this module's beginning lists.
        name: of their file, for the error.
        preprocessing: with as many channels as the stem was trained for.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture.
    """
    return OnnxEncoder(NAME, model(Tensors(data, name), preprocessing), preprocessing)


def model(tensors: Tensors, preprocessing: Preprocessing) -> bytes:
    """The network as an ONNX model.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture.
    """
    graph = Graph(preprocessing.channels, preprocessing.side)
    conv, split = _Convolutions(graph, tensors), _split(tensors)
    shared, channels = _beginning(graph, conv, preprocessing.channels, split or 0)
    x, dimension = _ending(graph, conv, shared, channels, split or 0), HEAD
    if "reduce.weight" in tensors:
        x = graph.unit_length(x)
        if split is not None:
            beside = graph.unit_length(_ending(graph, conv, shared, channels, split, BESIDE))
            x = graph.joined(x, beside)
        weight = tensors.take("reduce.weight", None, HEAD if split is None else 2 * HEAD)
        dimension = len(weight)
        x = graph.dense(x, weight, tensors.take("reduce.bias", dimension))
    return graph.model(x, dimension)


def _split(tensors: Tensors) -> int | None:
    """The first block of the second ending; None where there is none."""
    number = len(tuple(blocks()))
    while f"{BESIDE}blocks.{number - 1}.narrow.weight" in tensors:
        number -= 1
    return number if f"{BESIDE}head.weight" in tensors else None


def _beginning(graph: Graph, conv: _Convolutions, channels: int, end: int) -> tuple[str, int]:
    """From the input to the map before a block, and its channels."""
    x, channels = graph.relu6(conv(INPUT, "stem", STEM, channels, 3, stride=2)), STEM
    for number, block in list(enumerate(blocks()))[:end]:
        x, channels = _block(graph, conv, x, f"blocks.{number}", channels, block), block.channels
    return x, channels


def _ending(graph: Graph, conv: _Convolutions, x: str, channels: int, start: int, at: str = "") -> str:
    """From the map before a block to the mean over the last map, (1, 1280)."""
    for number, block in list(enumerate(blocks()))[start:]:
        x, channels = _block(graph, conv, x, f"{at}blocks.{number}", channels, block), block.channels
    return graph.mean_over_map(graph.relu6(conv(x, f"{at}head", HEAD, channels, 1)))


def _block(graph: Graph, conv: _Convolutions, x: str, at: str, channels: int, block: Block) -> str:
    y, wide = x, channels * block.widening
    if block.widening > 1:
        y = graph.relu6(conv(y, f"{at}.widen", wide, channels, 1))
    y = graph.relu6(conv(y, f"{at}.depthwise", wide, 1, block.kernel, stride=block.stride, groups=wide))
    y = conv(y, f"{at}.narrow", block.channels, wide, 1)
    keeps_its_shape = block.stride == 1 and block.channels == channels
    return graph.add(x, y) if keeps_its_shape else y


@dataclass(frozen=True)
class _Convolutions:
    """Convolutions by the name of their weights."""

    graph: Graph
    tensors: Tensors

    def __call__(
        self, x: str, at: str, out: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> str:
        weight = self.tensors.take(f"{at}.weight", out, channels, kernel, kernel)
        mean, variance = (self.tensors.take(f"{at}.norm.running_{part}", out) for part in ("mean", "var"))
        scale = self.tensors.take(f"{at}.norm.weight", out) / np.sqrt(variance + np.float32(EPSILON))
        bias = self.tensors.take(f"{at}.norm.bias", out) - mean * scale
        scaled = weight * scale[:, None, None, None]
        return self.graph.conv(x, scaled, bias, stride=stride, groups=groups, same=True)
