"""The encoder that comes with cbmir, as ONNX Runtime runs it and as torch does: what is its runtime worth?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cbmir.encoders import efficientnet_lite, shipped, weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_lite import BESIDE, COUNT
from cbmir.encoders.efficientnet_network import KEPT_BLOCKS, SECOND_ENDING, EfficientNetLite
from cbmir.encoders.runtime import OnnxEncoder


def load() -> OnnxEncoder:
    """As the product runs it."""
    preprocessing = Preprocessing.from_json(shipped.description()["preprocessing"])
    return efficientnet_lite.load(shipped.weights(), shipped.FILE, preprocessing)


class DefaultEncoder(nn.Module):
    """float32 (n, 1, side, side) in [0, 1] -> its feature, (n, dimension).

    What both endings start from is computed once, as there.
    """

    def __init__(self) -> None:
        super().__init__()
        tensors = {name: each.float() for name, each in weights.from_bytes(shipped.weights(), shipped.FILE).items()}
        own = {name: each for name, each in tensors.items() if not name.startswith(("reduce.", BESIDE))}
        second = {name.removeprefix(BESIDE): each for name, each in tensors.items() if name.startswith(BESIDE)}
        self.first, self.second = _filled(own), _filled({**own, **second})
        parts = (name.removesuffix(".weight") for name in tensors if name.endswith(".weight"))
        self.views = [part.removeprefix("reduce.") for part in parts if part.startswith("reduce.")]
        weight = torch.cat([tensors[f"reduce.{name}.weight"] for name in self.views], 1)
        self.reduce = nn.Linear(weight.shape[1], weight.shape[0])
        weights.fill(self.reduce, {"weight": weight, "bias": tensors["reduce.bias"]}, shipped.FILE)

    def forward(self, inputs: Tensor) -> Tensor:
        """See the class."""
        shared = self.first.blocks[:KEPT_BLOCKS](functional.relu6(self.first.stem(inputs)))
        maps = _maps(self.first, shared, COUNT)
        maps["head"] = functional.relu6(self.first.head(maps[f"blocks.{COUNT - 1}"]))
        maps |= {BESIDE + name: each for name, each in _maps(self.second, shared, SECOND_ENDING.stop).items()}
        means = [functional.normalize(maps[name].mean((2, 3))) for name in self.views]
        feature: Tensor = self.reduce(torch.cat(means, 1))
        return feature


def _maps(network: EfficientNetLite, shared: Tensor, stop: int) -> dict[str, Tensor]:
    """Behind each block from the kept ones on."""
    x, maps = shared, {}
    for number in range(KEPT_BLOCKS, stop):
        x = maps[f"blocks.{number}"] = network.blocks[number](x)
    return maps


def _filled(tensors: dict[str, Tensor]) -> EfficientNetLite:
    """Batch norms' counters are in no weights file, and nothing depends on them."""
    network = EfficientNetLite()
    counters = {name: each for name, each in network.state_dict().items() if name not in tensors}
    weights.fill(network, {**counters, **tensors}, shipped.FILE)
    return network
