"""EfficientNet-Lite0, ready to encode: a small network for processors, trained on photographs. No torch here.

A stem, sixteen blocks that widen, filter by depth and narrow again, a head of 1,280 channels, and their means over
the map. Batch norms are folded into the convolutions; activations are ReLU6. From 'EfficientNet: Rethinking Model
Scaling for Convolutional Neural Networks' (Tan and Le, 2019), less its squeeze-and-excitation and swish.

The tensors of its file, float32 or float16: the `weight` and the `norm` of `stem`, of `blocks.0` to `blocks.15`
with `widen` (not in the first), `depthwise` and `narrow`, and of `head`. Two parts may be absent. `beside.blocks.N`
to `beside.blocks.M` are a second ending, which starts from the same map as `blocks.N`; a `beside.head` may follow.
`reduce` is a dense layer: `reduce.MAP.weight` for the mean over each map that is looked at, brought to unit length,
and `reduce.bias`. MAP is what the map lies behind: a block or a head of either ending. One `reduce.weight` is for
the means behind the head and behind the second ending's last part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cbmir.encoders.base import Preprocessing
from cbmir.encoders.graph import INPUT, Graph
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.tensors import Tensors
from cbmir.errors import WeightsMismatch
from cbmir.types import FloatArray

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
    maps = _maps(graph, _Convolutions(graph, tensors), preprocessing.channels)
    if "reduce.bias" not in tensors:
        return graph.model(graph.mean_over_map(maps["head"]), HEAD)
    views, weight = _reduction(tensors, maps)
    x = graph.dense(_means(graph, maps, views), weight, tensors.take("reduce.bias", len(weight)))
    return graph.model(x, len(weight))


def looking_at(
    data: bytes, name: str, preprocessing: Preprocessing, views: Collection[str]
) -> tuple[OnnxEncoder, dict[str, int]]:
    """The same network without a dense layer: a feature is what such a layer gets.

    Args:
        data, name, preprocessing: see `load`.
        views: the maps to look at; those that the network does not have are left out.

    Returns:
        It, and the channels of each map that it looks at: their means, each of unit length, are one behind the
        other in this order.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture.
    """
    tensors, graph = Tensors(data, name), Graph(preprocessing.channels, preprocessing.side)
    maps = _maps(graph, _Convolutions(graph, tensors), preprocessing.channels)
    sizes = {each: channels_of(each) for each in views if each in maps}
    model = graph.model(_means(graph, maps, list(sizes)), sum(sizes.values()))
    return OnnxEncoder(NAME, model, preprocessing), sizes


def _means(graph: Graph, maps: Mapping[str, str], views: Sequence[str]) -> str:
    """The means over maps, each of unit length, one behind the other."""
    return graph.joined(*(graph.unit_length(graph.mean_over_map(maps[name])) for name in views))


def channels_of(name: str) -> int:
    """Channels of a map: `blocks.0` to `blocks.15` and `head`, of either ending."""
    part, _, number = name.removeprefix(BESIDE).partition(".")
    return channels_before(int(number) + 1) if part == "blocks" else HEAD


def _reduction(tensors: Tensors, maps: Collection[str]) -> tuple[list[str], FloatArray]:
    """The maps that are looked at, and one weight for all their means, one behind the other."""
    views = tensors.between("reduce.", ".weight")
    if not views:  # as all files up to version 0.1 had it
        second = [name for name in maps if name.startswith(BESIDE)]
        views = ["head", *second[-1:]]
        return views, tensors.take("reduce.weight", None, sum(map(channels_of, views)))
    if lacking := set(views) - set(maps):
        raise WeightsMismatch(
            f"The weights look at what is no part of the network: {', '.join(sorted(lacking))}.",
            "Copy or fetch the file once more.",
        )
    rows = len(tensors.take("reduce.bias", None))
    return views, np.hstack([tensors.take(f"reduce.{name}.weight", rows, channels_of(name)) for name in views])


def _maps(graph: Graph, conv: _Convolutions, channels: int) -> dict[str, str]:
    """Behind each block and the head, of both endings: its name in the graph by its name in the file."""
    stem = graph.relu6(conv(INPUT, "stem", STEM, channels, 3, stride=2))
    maps = _through(graph, conv, stem, range(COUNT + 1))
    if beside := _second_ending(conv.tensors):
        maps |= _through(graph, conv, maps[f"blocks.{beside.start - 1}"], beside, BESIDE)
    return maps


def _second_ending(tensors: Tensors) -> range:
    """The blocks of the second ending, the head counted as one; empty where there is none."""
    parts = (rest.partition(".")[0] for rest in tensors.between(f"{BESIDE}blocks.", ".weight"))
    there = {int(part) for part in parts if part.isdecimal()}
    has_head = f"{BESIDE}head.weight" in tensors
    return range(max(1, min(there)), max(there) + 1 + has_head) if there else range(0)


def _through(graph: Graph, conv: _Convolutions, x: str, numbers: range, at: str = "") -> dict[str, str]:
    """The maps behind some blocks, and behind the head, which is the last number."""
    maps = {}
    for number, block in list(enumerate(blocks()))[numbers.start : numbers.stop]:
        name = f"{at}blocks.{number}"
        x = maps[name] = _block(graph, conv, x, name, channels_before(number), block)
    if COUNT in numbers:
        maps[f"{at}head"] = graph.relu6(conv(x, f"{at}head", HEAD, channels_before(COUNT), 1))
    return maps


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
