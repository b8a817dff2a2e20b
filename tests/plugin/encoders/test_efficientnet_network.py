"""The network that is trained is the one that encodes, and its first part stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cbmir.encoders import efficientnet_lite, weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_network import KEPT_BLOCKS, EfficientNetLite

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
