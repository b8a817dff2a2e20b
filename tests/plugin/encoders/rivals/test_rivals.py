"""The rivals' networks take the weights that exist for them, and give the features that they should."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cbmir.encoders import registry, weights
from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.rivals import pooled
from cbmir.encoders.rivals.alexnet import AlexNet
from cbmir.encoders.rivals.dcnn import Dcnn
from cbmir.encoders.rivals.resnet50 import BLUE_GREEN_RED, Block, ResNet50
from cbmir.encoders.rivals.vgg16 import Vgg16
from cbmir.errors import WeightsMismatch

FROZEN = {"alexnet": (AlexNet, 2_469_696), "vgg16": (Vgg16, 14_714_688), "resnet50": (ResNet50, 25_610_152)}
"""Numbers of the published weights: of the first two without dense layers, of the last one with them."""

INPUTS = np.random.default_rng(0).random((3, 3, 48, 48), np.float32)


def stored(network: nn.Module, folder: Path, name: str, side: int, channels: int) -> Encoder:
    path = folder / f"{name}.safetensors"
    path.write_bytes(weights.to_bytes(network.state_dict()))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return registry.load(name, path, sha256, Preprocessing(side, channels).as_json())


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return FROZEN[name][0]()


@pytest.mark.parametrize("name", FROZEN)
def test_it_holds_as_many_numbers_as_the_published_weights(name: str) -> None:
    state = made(name).state_dict()
    assert sum(values.numel() for values in state.values()) == FROZEN[name][1]


@pytest.mark.parametrize("name", FROZEN)
def test_a_feature_depends_on_its_own_picture_alone(name: str, tmp_path: Path) -> None:
    encoder = stored(made(name), tmp_path, name, 48, 3)
    features = encoder.encode(INPUTS)
    assert features.shape == (3, encoder.dimension)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(encoder.encode(INPUTS[2:]), features[2:], rtol=1e-4, atol=1e-6)
    assert np.abs(features[0] - features[1]).max() > 1e-6


def test_pictures_are_normalised_as_each_was_trained() -> None:
    inputs = torch.from_numpy(INPUTS)
    first = pooled.normalised(inputs)[0, 0, 0, 0].item()
    assert first == pytest.approx((INPUTS[0, 0, 0, 0] - 0.485) / 0.229, rel=1e-5)
    network, seen = ResNet50(), []
    network.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network.maps(inputs)
    blue = 255 * INPUTS[0, 2, 0, 0] - BLUE_GREEN_RED[0]
    assert seen[0][0, 0, 0, 0].item() == pytest.approx(blue, rel=1e-4)


def test_a_block_halves_in_its_first_convolution() -> None:
    block = Block(8, 4, stride=2)
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    assert block(torch.rand(1, 8, 6, 6)).shape == (1, 16, 3, 3)
    assert len(block.downsample) == 2
    assert len(Block(16, 4, stride=1).downsample) == 0


def test_the_dcnns_feature_is_what_it_names_the_label_by(tmp_path: Path) -> None:
    network = Dcnn(5)
    network.initialise(1)
    grey = INPUTS[:, :1, :16, :16]
    encoder = stored(network, tmp_path, "dcnn", 16, 1)
    scores = network.names(functional.relu(torch.from_numpy(encoder.encode(grey))))
    torch.testing.assert_close(scores, network(torch.from_numpy(np.ascontiguousarray(grey))), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FROZEN)
def test_weights_of_another_network_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=f"{name}.safetensors does not fit"):
        stored(Dcnn(2), tmp_path, name, 48, 3)


def test_what_does_not_fit_is_said_in_words() -> None:
    with pytest.raises(WeightsMismatch, match=r"does not fit: it has no bias\."):
        weights.fill(nn.Linear(3, 2), {"weight": torch.zeros(2, 3)}, "w")
    with pytest.raises(WeightsMismatch, match=r"does not fit: the network has no scale\."):
        weights.fill(nn.Linear(3, 2, bias=False), {"weight": torch.zeros(2, 3), "scale": torch.zeros(2)}, "w")
    with pytest.raises(WeightsMismatch, match=r"does not fit: weight has the shape 2 x 4, not 2 x 3\."):
        weights.fill(nn.Linear(3, 2, bias=False), {"weight": torch.zeros(2, 4)}, "w")


def test_weights_without_names_are_no_dcnn(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"names\.weight"):
        stored(made("alexnet"), tmp_path, "dcnn", 16, 1)


def test_a_grey_input_is_refused_by_those_that_see_colours(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="1 channels, not 3"):
        stored(made("alexnet"), tmp_path, "alexnet", 48, 1)
