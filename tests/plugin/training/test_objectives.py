from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cbmir.errors import NotFound, TrainingFailed
from cbmir.training.objectives import naming, reconstruction
from cbmir.training.request import TrainingRequest
from cbmir.training.trainees import TRAINEES, trainee

INPUTS = torch.rand(3, 1, 8, 8)


def test_a_reconstruction_is_judged_by_its_squared_error() -> None:
    class Brighter(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs + 0.5

    assert reconstruction(Brighter(), INPUTS, np.arange(3)).item() == pytest.approx(0.25)


def test_names_are_those_of_the_rows() -> None:
    class Sure(nn.Module):
        """Always of the second label, by odds of e to 1."""

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 1.0]] * len(inputs))

    objective = naming(["b", "a", "b", "b"])
    right, wrong = -math.log(math.e / (1 + math.e)), -math.log(1 / (1 + math.e))
    assert objective(Sure(), INPUTS, np.array([0, 2, 3])).item() == pytest.approx(right)
    assert objective(Sure(), INPUTS, np.array([0, 1, 2])).item() == pytest.approx((2 * right + wrong) / 3)


@pytest.mark.parametrize("name", TRAINEES)
def test_the_same_seed_makes_the_same_network(name: str) -> None:
    def made(seed: int) -> list[torch.Tensor]:
        request = TrainingRequest(name, side=16, seed=seed)
        return list(trainee(name).make(request, ["a", "b"]).state_dict().values())

    assert all(map(torch.equal, made(1), made(1)))
    assert not all(map(torch.equal, made(1), made(2)))


def test_one_label_is_nothing_to_tell_apart() -> None:
    with pytest.raises(TrainingFailed, match="same label") as raised:
        trainee("dcnn").make(TrainingRequest("dcnn"), ["a", "a"])
    assert "cnn-autoencoder" in raised.value.remedy
    trainee("cnn-autoencoder").make(TrainingRequest(side=16), ["a", "a"])


def test_what_cannot_be_trained_is_named() -> None:
    with pytest.raises(NotFound, match="transformer") as raised:
        trainee("transformer")
    assert "dcnn" in raised.value.remedy
