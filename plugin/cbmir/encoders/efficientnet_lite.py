"""EfficientNet-Lite0, ready to encode: a small network for processors, trained on photographs. No torch here.

A stem, sixteen blocks that widen, filter by depth and narrow again, a head of 1,280 channels, and their means over
the map. Batch norms are folded into the convolutions; activations are ReLU6. From 'EfficientNet: Rethinking Model
Scaling for Convolutional Neural Networks' (Tan and Le, 2019), less its squeeze-and-excitation and swish.

The tensors of its file, float32 or float16: the `weight` and the `norm` of `stem`, of `blocks.0` to `blocks.15`
with `widen` (not in the first), `depthwise` and `narrow`, and of `head`. Two parts may be absent. `reduce` is a
dense layer after the mean was brought to unit length. `beside.blocks.N` to `beside.blocks.M` are a second ending,
which starts from the same map as `blocks.N`: the mean over its last map, of unit length too, stands behind the
first one's. Where there is a `beside.head`, that mean is taken behind it.
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


COUNT = len(tuple(blocks()))


def channels_before(number: int) -> int:
    """Channels of the map that a block gets; the head is number 16."""
    return tuple(blocks())[number - 1].channels if number else STEM


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
    conv, beside = _Convolutions(graph, tensors), _second_ending(tensors)
    stem = graph.relu6(conv(INPUT, "stem", STEM, preprocessing.channels, 3, stride=2))
    shared = _through(graph, conv, stem, range(beside.start))
    x, dimension = _behind_head(graph, conv, _through(graph, conv, shared, range(beside.start, COUNT))), HEAD
    if "reduce.weight" in tensors:
        x = graph.unit_length(x)
        if beside:
            second, more = _mean_beside(graph, conv, shared, beside)
            x, dimension = graph.joined(x, graph.unit_length(second)), dimension + more
        weight = tensors.take("reduce.weight", None, dimension)
        dimension = len(weight)
        x = graph.dense(x, weight, tensors.take("reduce.bias", dimension))
    return graph.model(x, dimension)


def _second_ending(tensors: Tensors) -> range:
    """The blocks of the second ending; an empty range from 0 where there is none."""
    there = [number for number in range(COUNT) if f"{BESIDE}blocks.{number}.narrow.weight" in tensors]
    return range(there[0], there[-1] + 1) if there else range(0)


def _mean_beside(graph: Graph, conv: _Convolutions, shared: str, numbers: range) -> tuple[str, int]:
    """The mean over the second ending's last map, and how many numbers it has."""
    x = _through(graph, conv, shared, numbers, BESIDE)
    if f"{BESIDE}head.weight" in conv.tensors:
        return _behind_head(graph, conv, x, BESIDE), HEAD
    return graph.mean_over_map(x), channels_before(numbers.stop)


def _behind_head(graph: Graph, conv: _Convolutions, x: str, at: str = "") -> str:
    """From the last block's map to the mean over the head's, (1, 1280)."""
    return graph.mean_over_map(graph.relu6(conv(x, f"{at}head", HEAD, channels_before(COUNT), 1)))


def _through(graph: Graph, conv: _Convolutions, x: str, numbers: range, at: str = "") -> str:
    """From the map before some blocks to the one behind them."""
    for number, block in list(enumerate(blocks()))[numbers.start : numbers.stop]:
        x = _block(graph, conv, x, f"{at}blocks.{number}", channels_before(number), block)
    return x


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
        deviation = np.sqrt(variance + np.float32(EPSILON)).astype(np.float32)
        scale = self.tensors.take(f"{at}.norm.weight", out) / deviation
        bias = self.tensors.take(f"{at}.norm.bias", out) - mean * scale
        scaled = weight * scale[:, None, None, None]
        return self.graph.conv(x, scaled, bias, stride=stride, groups=groups, same=True)
