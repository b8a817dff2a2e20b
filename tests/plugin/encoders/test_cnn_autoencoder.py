from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cbmir.encoders import registry, weights
from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.errors import BadRequest, NotFound, WeightsMismatch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights of an untrained autoencoder for 32 x 32."""
    network = CnnAutoencoder(32)
    network.initialise(seed=1)
    path = tmp_path / "net.safetensors"
    path.write_bytes(weights.to_bytes(network.state_dict()))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def encoder(file: Path) -> Encoder:
    return registry.load("cnn-autoencoder", file, sha256(file), Preprocessing(32).as_json())


def of_kind(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def test_it_is_the_papers_network() -> None:
    network = CnnAutoencoder(64)
    down, up = of_kind(network, nn.Conv2d), of_kind(network, nn.ConvTranspose2d)
    assert [(each.out_channels, each.kernel_size, each.stride) for each in down] == [(128, (3, 3), (2, 2))] * 3
    assert [(each.out_channels, each.kernel_size, each.stride) for each in up] == [
        *[(128, (3, 3), (2, 2))] * 3,
        (1, (3, 3), (1, 1)),
    ]
    assert {each.negative_slope for each in of_kind(network, nn.LeakyReLU)} == {0.2}
    assert [each.out_features for each in of_kind(network, nn.Linear)] == [48, 8 * 8 * 128]


@pytest.mark.parametrize("side", [16, 64])
def test_the_reconstruction_is_like_the_input(side: int) -> None:
    reconstruction = CnnAutoencoder(side)(torch.rand(2, 1, side, side))
    assert reconstruction.shape == (2, 1, side, side)
    assert 0 <= reconstruction.min() <= reconstruction.max() <= 1


def test_a_side_that_does_not_halve_is_refused() -> None:
    with pytest.raises(BadRequest, match="60"):
        CnnAutoencoder(60)


def test_a_seed_gives_the_same_weights() -> None:
    first, second, other = CnnAutoencoder(16), CnnAutoencoder(16), CnnAutoencoder(16)
    for network, seed in ((first, 5), (second, 5), (other, 6)):
        network.initialise(seed)
    assert weights.to_bytes(first.state_dict()) == weights.to_bytes(second.state_dict())
    assert weights.to_bytes(first.state_dict()) != weights.to_bytes(other.state_dict())


def test_it_gives_what_the_trained_network_gives(file: Path, encoder: Encoder) -> None:
    network = CnnAutoencoder(32).eval()
    weights.fill(network, weights.from_bytes(file.read_bytes(), file.name), file.name)
    inputs = np.random.default_rng(0).random((5, 1, 32, 32), np.float32)
    with torch.inference_mode():
        expected = network.encoder(torch.from_numpy(inputs)).numpy()
    found = encoder.encode(inputs)
    assert found.shape == (5, encoder.dimension) == (5, 48)
    assert found.dtype == np.float32
    distances = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert distances.max() < 1e-5


def test_a_feature_does_not_depend_on_its_neighbours(encoder: Encoder) -> None:
    inputs = np.random.default_rng(0).random((37, 1, 32, 32), np.float32)
    alone = np.concatenate([encoder.encode(each[None]) for each in inputs])
    assert np.array_equal(encoder.encode(inputs), alone)


def test_threads_do_not_disturb_one_another(encoder: Encoder) -> None:
    batches = np.random.default_rng(0).random((8, 4, 1, 32, 32), np.float32)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(encoder.encode, batches))
    assert np.array_equal(together, [encoder.encode(batch) for batch in batches])


def test_no_picture_gives_no_feature(encoder: Encoder) -> None:
    assert encoder.encode(np.empty((0, 1, 32, 32), np.float32)).shape == (0, 48)


def test_weights_that_are_no_numbers_are_refused(file: Path) -> None:
    tensors = weights.from_bytes(file.read_bytes(), file.name)
    tensors["encoder.2.bias"][7] = float("nan")
    file.write_bytes(weights.to_bytes(tensors))
    with pytest.raises(WeightsMismatch, match=r"encoder\.2\.bias"):
        registry.load("cnn-autoencoder", file, sha256(file), Preprocessing(32).as_json())


def test_a_read_only_input_is_encoded(encoder: Encoder) -> None:
    inputs = np.zeros((1, 1, 32, 32), np.float32)
    inputs.flags.writeable = False
    assert np.isfinite(encoder.encode(inputs)).all()


def test_another_hash_is_refused(file: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"net\.safetensors"):
        registry.load("cnn-autoencoder", file, "0" * 64, Preprocessing(32).as_json())


def test_another_shape_is_refused(file: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"net\.safetensors.*shape"):
        registry.load("cnn-autoencoder", file, sha256(file), Preprocessing(64).as_json())


def test_a_file_cut_short_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsMismatch, match=r"net\.safetensors"):
        registry.load("cnn-autoencoder", file, sha256(file), Preprocessing(32).as_json())


def test_colour_is_refused(file: Path) -> None:
    with pytest.raises(WeightsMismatch, match="channels"):
        registry.load("cnn-autoencoder", file, sha256(file), Preprocessing(32, channels=3).as_json())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.safetensors"):
        registry.load("cnn-autoencoder", tmp_path / "gone.safetensors", "0" * 64, {"side": 32})
