"""The network against one of torch, with drawn weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch.nn import functional

from cbmir.encoders import efficientnet_weights, registry
from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.efficientnet_lite import blocks, model
from cbmir.encoders.tensors import Tensors
from cbmir.errors import WeightsMismatch
from cbmir.types import FloatArray

SIDE = 64
State = dict[str, FloatArray]


def convolution(random: np.random.Generator, conv: str, norm: str, out: int, channels: int, kernel: int) -> State:
    """A convolution without bias and its batch norm, as they are published."""
    spread = (2 / (channels * kernel**2)) ** 0.5  # what comes out then varies about as much as what went in
    return {
        f"{conv}.weight": (spread * random.normal(size=(out, channels, kernel, kernel))).astype(np.float32),
        f"{norm}.weight": random.uniform(0.5, 1.5, out).astype(np.float32),
        f"{norm}.bias": random.normal(0, 0.2, out).astype(np.float32),
        f"{norm}.running_mean": random.normal(0, 0.2, out).astype(np.float32),
        f"{norm}.running_var": random.uniform(0.5, 1.5, out).astype(np.float32),
    }


@pytest.fixture(scope="module")
def state() -> State:
    random = np.random.default_rng(0)
    drawn, channels = convolution(random, "_conv_stem", "_bn0", 32, 3, 3), 32
    for number, block in enumerate(blocks()):
        at, wide = f"_blocks.{number}", channels * block.widening
        if block.widening > 1:
            drawn |= convolution(random, f"{at}._expand_conv", f"{at}._bn0", wide, channels, 1)
        drawn |= convolution(random, f"{at}._depthwise_conv", f"{at}._bn1", wide, 1, block.kernel)
        drawn |= convolution(random, f"{at}._project_conv", f"{at}._bn2", block.channels, wide, 1)
        channels = block.channels
    return drawn | convolution(random, "_conv_head", "_bn1", 1280, channels, 1)


def by_torch(state: State, inputs: FloatArray) -> FloatArray:
    """The published network, step by step, batch norms and all."""

    def step(x: torch.Tensor, conv: str, norm: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        weight = torch.from_numpy(state[f"{conv}.weight"])
        kernel, rows = weight.shape[2], x.shape[2]
        padding = max((-(-rows // stride) - 1) * stride + kernel - rows, 0)  # TensorFlow's 'same'
        around = (padding // 2, padding - padding // 2) * 2
        y = functional.conv2d(functional.pad(x, around), weight, stride=stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(y, *(torch.from_numpy(state[f"{norm}.{each}"]) for each in names), eps=1e-3)

    x = functional.relu6(step(torch.from_numpy(inputs), "_conv_stem", "_bn0", 2))
    for number, block in enumerate(blocks()):
        at, y = f"_blocks.{number}", x
        if block.widening > 1:
            y = functional.relu6(step(y, f"{at}._expand_conv", f"{at}._bn0"))
        y = functional.relu6(step(y, f"{at}._depthwise_conv", f"{at}._bn1", block.stride, y.shape[1]))
        y = step(y, f"{at}._project_conv", f"{at}._bn2")
        x = x + y if x.shape == y.shape else y
    features: FloatArray = functional.relu6(step(x, "_conv_head", "_bn1")).mean((2, 3)).numpy()
    return features


def load(data: bytes, folder: Path, channels: int = 3) -> Encoder:
    file = folder / "net.safetensors"
    file.write_bytes(data)
    preprocessing = Preprocessing(SIDE, channels).as_json()
    return registry.load("efficientnet-lite0", file, hashlib.sha256(data).hexdigest(), preprocessing)


@pytest.fixture(scope="module")
def inputs() -> FloatArray:
    random = np.random.default_rng(1)
    coarse = random.normal(0, 2, (3, 3, SIDE // 16, SIDE // 16)).astype(np.float32)
    return np.kron(coarse, np.ones((16, 16), np.float32))


def assert_alike(found: FloatArray, expected: FloatArray) -> None:
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


def test_it_gives_what_torch_gives(state: State, inputs: FloatArray, tmp_path: Path) -> None:
    encoder = load(efficientnet_weights.converted(state), tmp_path)
    expected = by_torch(state, inputs)
    assert expected.std(axis=0).max() > 0.1, "the pictures must not look alike to it"
    assert_alike(encoder.encode(inputs), expected)
    assert encoder.dimension == 1280


def test_a_dense_layer_may_follow(state: State, inputs: FloatArray, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    weight, bias = (random.normal(size=shape).astype(np.float32) for shape in ((48, 1280), (48,)))
    tensors = safetensors.numpy.load(efficientnet_weights.converted(state))
    encoder = load(safetensors.numpy.save({**tensors, "reduce.weight": weight, "reduce.bias": bias}), tmp_path)
    assert encoder.dimension == 48
    pooled = by_torch(state, inputs)
    directions = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    assert_alike(encoder.encode(inputs), directions @ weight.T + bias)


def test_one_file_is_one_network_however_often_it_is_read(state: State) -> None:
    maps = {"head": 1280, "blocks.7": 80, "blocks.10": 112, "blocks.12": 192}
    layer = {f"reduce.{name}.weight": np.ones((4, size), np.float32) for name, size in maps.items()}
    tensors = safetensors.numpy.load(efficientnet_weights.converted(state)) | layer
    data = safetensors.numpy.save({**tensors, "reduce.bias": np.zeros(4, np.float32)})
    assert len({model(Tensors(data, "net"), Preprocessing(SIDE, 3)) for _ in range(8)}) == 1


def test_one_channel_is_enough(state: State, inputs: FloatArray, tmp_path: Path) -> None:
    grey = {**state, "_conv_stem.weight": state["_conv_stem.weight"].sum(axis=1, keepdims=True)}
    encoder = load(efficientnet_weights.converted(grey), tmp_path, channels=1)
    one = inputs[:, :1]
    assert_alike(encoder.encode(one), by_torch(state, np.repeat(one, 3, axis=1)))


def test_weights_of_other_channels_are_refused(state: State, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"stem\.weight"):
        load(efficientnet_weights.converted(state), tmp_path, channels=1)
