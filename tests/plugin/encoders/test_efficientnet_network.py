"""The network that is trained is the one that encodes, and its first part stays as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cbmir.encoders import efficientnet_lite, weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_network import KEPT_BLOCKS, EfficientNetLite, is_kept, is_of_second
from cbmir.errors import WeightsMismatch
from cbmir.types import FloatArray

SIDE = 32


@pytest.fixture
def network() -> EfficientNetLite:
    torch.manual_seed(0)
    return EfficientNetLite()


def test_what_was_trained_is_what_encodes(network: EfficientNetLite) -> None:
    inputs = torch.rand(4, 1, SIDE, SIDE)
    network.train()
    network(inputs).sum().backward()  # norms have seen pictures
    network.eval()
    data = weights.to_bytes(network.state_dict())
    encoder = efficientnet_lite.load(data, "net.safetensors", Preprocessing(SIDE))
    pooled = encoder.encode(inputs.numpy())
    directions = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(directions, network(inputs).detach().numpy(), atol=1e-5)


def test_the_first_blocks_and_their_norms_stay(network: EfficientNetLite) -> None:
    before = {name: each.clone() for name, each in network.state_dict().items()}
    optimiser = torch.optim.SGD([each for each in network.parameters() if each.requires_grad], 0.1)
    network.train()
    network(torch.rand(4, 1, SIDE, SIDE))[:, 0].sum().backward()
    optimiser.step()
    changed = {name for name, each in network.state_dict().items() if not torch.equal(each, before[name])}
    kept = ("stem", *(f"blocks.{number}." for number in range(KEPT_BLOCKS)))
    assert not [name for name in changed if name.startswith(kept)]
    assert {f"blocks.{KEPT_BLOCKS}.widen.weight", "head.weight", "head.norm.running_mean"} <= changed


@pytest.fixture
def other(network: EfficientNetLite) -> EfficientNetLite:
    """Another one with the same beginning, which never learns."""
    torch.manual_seed(1)
    other = EfficientNetLite().eval()
    kept = {name: each for name, each in network.state_dict().items() if is_kept(name)}
    other.load_state_dict({**other.state_dict(), **kept})
    return other


def file_of_both(network: EfficientNetLite, beside: dict[str, Tensor], reduce: dict[str, Tensor]) -> bytes:
    """In half precision, as a training writes it."""
    tensors = {**network.state_dict(), **{f"beside.{name}": each for name, each in beside.items()}}
    small = {name: each.half() if each.dim() > 1 else each for name, each in tensors.items()}
    return weights.to_bytes({**small, **reduce, "reduce.bias": torch.full((5,), 0.5)})


def means(network: EfficientNetLite, inputs: Tensor, names: Sequence[str]) -> Tensor:
    """The means over some maps, each of unit length, one behind the other: float32 (n, the channels of all)."""
    x, found = functional.relu6(network.stem(inputs)), dict[str, Tensor]()
    for number, block in enumerate(network.blocks):
        x = block(x)
        found[f"blocks.{number}"] = x.mean((2, 3))
    found["head"] = functional.relu6(network.head(x)).mean((2, 3))
    return torch.cat([functional.normalize(found[name]) for name in names], 1)


def encoded(data: bytes, inputs: Tensor) -> FloatArray:
    return efficientnet_lite.load(data, "net.safetensors", Preprocessing(SIDE)).encode(inputs.numpy())


def test_the_means_of_some_maps_stand_one_behind_the_other(
    network: EfficientNetLite, other: EfficientNetLite
) -> None:
    """The second ending starts where the first one's training did, and has maps of its own of the same names."""
    network.eval()
    inputs, channels = torch.rand(3, 1, SIDE, SIDE), {"blocks.4": 40, "blocks.14": 192, "head": 1280}
    own = {name: torch.rand(5, count) for name, count in channels.items()}
    second = {"blocks.5": torch.rand(5, 80), "blocks.7": torch.rand(5, 80)}
    expected = means(network, inputs, list(own)) @ torch.cat([*own.values()], 1).T
    expected += means(other, inputs, list(second)) @ torch.cat([*second.values()], 1).T
    reduce = {f"reduce.{name}.weight": each for name, each in own.items()}
    reduce |= {f"reduce.beside.{name}.weight": each for name, each in second.items()}
    beside = {name: each for name, each in other.state_dict().items() if is_of_second(name)}
    found = encoded(file_of_both(network, beside, reduce), inputs)
    np.testing.assert_allclose(found, expected.detach().numpy() + 0.5, atol=2e-3)


@pytest.mark.parametrize(("last", "channels"), [("blocks.10", 112), ("head", 1280)])
def test_files_of_earlier_versions_are_read(
    network: EfficientNetLite, other: EfficientNetLite, last: str, channels: int
) -> None:
    """They look at the first ending's head, and at the last part of the second."""
    network.eval()
    inputs, reduce = torch.rand(3, 1, SIDE, SIDE), torch.rand(5, 1280 + channels)
    expected = torch.cat([network(inputs), means(other, inputs, [last])], 1) @ reduce.T + 0.5
    reaches = [number for number in range(KEPT_BLOCKS, 16) if last == "head" or number <= 10]
    parts = [*(f"blocks.{number}." for number in reaches), *(["head."] if last == "head" else [])]
    beside = {name: each for name, each in other.state_dict().items() if name.startswith(tuple(parts))}
    found = encoded(file_of_both(network, beside, {"reduce.weight": reduce}), inputs)
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=2e-3)


def test_a_map_of_other_channels_is_refused(network: EfficientNetLite) -> None:
    with pytest.raises(WeightsMismatch, match=r"reduce\.blocks\.14\.weight"):
        encoded(
            file_of_both(network, {}, {"reduce.blocks.14.weight": torch.rand(5, 7)}), torch.rand(1, 1, SIDE, SIDE)
        )


@pytest.mark.parametrize("name", ["blocks.99", "beside.blocks.7", "blocks.14.narrow"])
def test_a_map_that_is_not_there_is_refused(network: EfficientNetLite, name: str) -> None:
    with pytest.raises(WeightsMismatch, match=f"no part of the network: {re.escape(name)}"):
        encoded(
            file_of_both(network, {}, {f"reduce.{name}.weight": torch.rand(5, 80)}), torch.rand(1, 1, SIDE, SIDE)
        )


@pytest.mark.parametrize("part", ["blocks.5.narrow.weight", "blocks.6.depthwise.weight", "blocks.7.narrow.weight"])
def test_a_second_ending_that_lacks_a_part_is_refused(network: EfficientNetLite, part: str) -> None:
    beside = {name: each.clone() for name, each in network.state_dict().items() if is_of_second(name)}
    del beside[part]
    with pytest.raises(WeightsMismatch, match=rf"beside\.{re.escape(part)}"):
        encoded(file_of_both(network, beside, {"reduce.weight": torch.rand(5, 1392)}), torch.rand(1, 1, SIDE, SIDE))
