from __future__ import annotations

import pytest

from cbmir.errors import BadRequest
from cbmir.training.request import TrainingRequest


def test_the_defaults_are_the_papers() -> None:
    assert TrainingRequest() == TrainingRequest("cnn-autoencoder", epochs=35, seed=0, side=64, batch_size=32)


def test_it_is_read_back() -> None:
    request = TrainingRequest(epochs=3, seed=7, side=128)
    assert TrainingRequest.from_json(request.as_json()) == request
    assert TrainingRequest.from_json({"epochs": 3}) == TrainingRequest(epochs=3)


@pytest.mark.parametrize(
    "document",
    [
        {"epochs": 0},
        {"epochs": "35"},
        {"epochs": True},
        {"seed": -1},
        {"side": 8},
        {"batch_size": 0},
        {"architecture": 1},
        {"epoch": 3},
    ],
)
def test_what_makes_no_sense_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match=next(iter(document))):
        TrainingRequest.from_json(document)


def test_each_architecture_has_its_usual_values() -> None:
    request = TrainingRequest.usual("efficientnet-lite0", epochs=None, side=64)
    assert (request.epochs, request.side, request.batch_size) == (6, 64, 64)
    assert TrainingRequest.usual("cnn-autoencoder", epochs=None) == TrainingRequest()


@pytest.mark.parametrize("architecture", ["cnn-autoencoder", "dcnn"])
def test_a_start_that_would_be_passed_over_is_refused(architecture: str) -> None:
    with pytest.raises(BadRequest, match="cannot start from cnn-autoencoder-1a2b3c4d") as caught:
        TrainingRequest.usual(architecture, start="cnn-autoencoder-1a2b3c4d")
    assert "efficientnet-lite0" in caught.value.remedy
    assert TrainingRequest.usual(architecture, start="default").start == "default"
