"""The weights that a training by labels starts from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cbmir.encoders import efficientnet_weights, photographs, shipped, weights
from cbmir.encoders.efficientnet_lite import BESIDE
from cbmir.encoders.efficientnet_network import EfficientNetLite, is_of_second
from cbmir.errors import NotFound, WeightsMismatch
from cbmir.settings import Settings
from cbmir.training.request import DEFAULT, PHOTOGRAPHS

COUNTERS = "num_batches_tracked"
"""Of torch's norms; nothing depends on them."""


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes:
        name: as it was asked for.
        sha256: of the file's content.
        tensors: by their names in the network's state.
    """

    name: str
    sha256: str
    tensors: dict[str, Tensor]

    def fill(self, network: EfficientNetLite) -> None:
        """Put the weights into a network; those of a second ending and of a layer to few numbers are left aside.

        Raises:
            cbmir.errors.WeightsMismatch: if they are not of this network.
        """
        counted = {name: each for name, each in network.state_dict().items() if name.endswith(COUNTERS)}
        aside = ("reduce.", BESIDE)
        given = {name: each for name, each in self.tensors.items() if not name.startswith(aside)}
        weights.fill(network, counted | given, self.name)

    def beside(self) -> dict[str, Tensor]:
        """The ending that a training leaves as it is, so that what no label speaks of is told apart as before: that
        of the photographs, by the names in the network's state; empty where the weights have none."""
        before = "" if self.name == PHOTOGRAPHS else BESIDE
        found = {name.removeprefix(before): each for name, each in self.tensors.items() if name.startswith(before)}
        return {name: each.float() for name, each in found.items() if is_of_second(name)}


def find(name: str, settings: Settings) -> Start:
    """The weights of a name.

    Args:
        name: `default` for those that come with the product, `photographs` for EfficientNet-Lite0 as ImageNet's
            photographs made it, else the id of an encoder that was trained here.
        settings: of the installation.

    Raises:
        cbmir.errors.NotFound: if they are not here.
        cbmir.errors.WeightsMismatch: if they are not those of such a network.
    """
    if name == PHOTOGRAPHS:
        data = efficientnet_weights.installed()
        return Start(name, hashlib.sha256(data).hexdigest(), _grey(weights.from_bytes(data, name)))
    data = shipped.weights() if name == DEFAULT else _stored(settings.weights / f"{Path(name).name}.safetensors")
    return Start(name, hashlib.sha256(data).hexdigest(), weights.from_bytes(data, name))


def _stored(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            f"There are no weights of an encoder {path.stem}.", "See `cbmir encoders`, or start from `default`."
        ) from error


def _grey(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The stem for one channel in [0, 1] where there were three, brought to mean 0 and deviation 1 before."""
    stem, mean = tensors["stem.weight"], tensors["stem.norm.running_mean"]
    if stem.shape[1] != 3:
        raise WeightsMismatch(f"The weights to start from have {stem.shape[1]} channels, not 3.")
    scaled = stem / torch.tensor(photographs.DEVIATION).view(1, 3, 1, 1)
    offset = (scaled * torch.tensor(photographs.MEAN).view(1, 3, 1, 1)).sum((1, 2, 3))
    return {**tensors, "stem.weight": scaled.sum(1, keepdim=True), "stem.norm.running_mean": mean + offset}
