"""The encoder that comes with cbmir, as ONNX Runtime runs it and as torch does: what is its runtime worth?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cbmir.encoders import efficientnet_lite, shipped, weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_lite import BESIDE
from cbmir.encoders.efficientnet_network import KEPT_BLOCKS, SECOND_ENDING, EfficientNetLite
from cbmir.encoders.runtime import OnnxEncoder


def load() -> OnnxEncoder:
    """As the product runs it."""
    preprocessing = Preprocessing.from_json(shipped.description()["preprocessing"])
    return efficientnet_lite.load(shipped.weights(), shipped.FILE, preprocessing)


class DefaultEncoder(nn.Module):
    """float32 (n, 1, side, side) in [0, 1] -> its feature, (n, dimension).

    A file without a second ending is taken too. What both endings start from is computed once, as there.
    """

    def __init__(self) -> None:
        super().__init__()
        tensors = {name: each.float() for name, each in weights.from_bytes(shipped.weights(), shipped.FILE).items()}
        own = {name: each for name, each in tensors.items() if not name.startswith(("reduce.", BESIDE))}
        second = {name.removeprefix(BESIDE): each for name, each in tensors.items() if name.startswith(BESIDE)}
        self.first, self.second = _filled(own), _filled({**own, **second}) if second else None
        dimension, means = tensors["reduce.weight"].shape
        self.reduce = nn.Linear(means, dimension)
        weights.fill(self.reduce, {name: tensors[f"reduce.{name}"] for name in ("weight", "bias")}, shipped.FILE)

    def forward(self, inputs: Tensor) -> Tensor:
        """See the class."""
        shared = self.first.blocks[:KEPT_BLOCKS](functional.relu6(self.first.stem(inputs)))
        last = functional.relu6(self.first.head(self.first.blocks[KEPT_BLOCKS:](shared)))
        endings = [last] if self.second is None else [last, self._beside(shared)]
        means = [functional.normalize(each.mean((2, 3))) for each in endings]
        feature: Tensor = self.reduce(torch.cat(means, 1))
        return feature

    def _beside(self, shared: Tensor) -> Tensor:
        assert self.second is not None
        maps: Tensor = self.second.blocks[SECOND_ENDING.start : SECOND_ENDING.stop](shared)
        return maps


def _filled(tensors: dict[str, Tensor]) -> EfficientNetLite:
    """Batch norms' counters are in no weights file, and nothing depends on them."""
    network = EfficientNetLite()
    counters = {name: each for name, each in network.state_dict().items() if name not in tensors}
    weights.fill(network, {**counters, **tensors}, shipped.FILE)
    return network
