"""On a graphics card; skipped where torch finds none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.device import CARD, PROCESSOR, device
from cbmir.encoders.rivals import alexnet
from cbmir.progress import Silence
from cbmir.training.gradients import workers
from cbmir.training.loop import Material, Recipe, Training

pytestmark = pytest.mark.skipif(device() != CARD, reason="torch finds no graphics card here")

CHANCE = np.random.default_rng(0)
PICTURES = CHANCE.integers(0, 256, (80, 1, 32, 32), dtype=np.uint8)
MATERIAL = Material(PICTURES, np.arange(64), np.arange(64, 80))


def training(folder: Path, where: str, epochs: int = 3) -> list[float]:
    """The losses of the validation part after each epoch."""
    network = CnnAutoencoder(32)
    network.initialise(0)
    with workers(1) as pool:
        run = Training(network, MATERIAL, Recipe(epochs, 16), folder, pool, device=where)
        record = run.run(Silence())
        run.loss(record.best, MATERIAL.validation)
    assert weights.from_bytes(weights.to_bytes(record.best), "best").keys() == record.best.keys()
    return [row["validation_loss"] for row in record.history]


def test_a_card_trains_as_a_processor_does(tmp_path: Path) -> None:
    ours, theirs = (training(tmp_path / where, where) for where in (CARD, PROCESSOR))
    assert ours == pytest.approx(theirs, rel=0.02)
    assert ours[-1] < ours[0]


def test_a_training_that_was_cut_off_goes_on_on_the_card(tmp_path: Path) -> None:
    whole = training(tmp_path / "whole", CARD)
    training(tmp_path / "cut", CARD, epochs=1)
    assert training(tmp_path / "cut", CARD) == pytest.approx(whole, rel=0.02)


def test_features_of_a_card_are_those_of_a_processor() -> None:
    network = alexnet.AlexNet().eval()
    data = weights.to_bytes(network.state_dict())
    inputs = CHANCE.random((9, 3, 64, 64), np.float32)
    found = alexnet.load(data, "alexnet", Preprocessing(64, 3)).encode(inputs)
    with torch.inference_mode():
        expected = network.maps(torch.from_numpy(inputs)).mean((2, 3)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
