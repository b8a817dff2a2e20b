from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cbmir.encoders import strided
from cbmir.encoders.strided import Doubling, Halving, weight_gradient

LAYERS = [(Halving, nn.Conv2d, 10, 6), (Doubling, nn.ConvTranspose2d, 5, 6)]
"""Ours, torch's, the side of the input, channels other than filters."""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of the small picture at a time: five rows then end with a block of one."""
    monkeypatch.setattr(strided, "GATHERED", 2 * 5 * 9 * 4)


def outcome(layer: nn.Module, inputs: Tensor) -> list[Tensor]:
    """The outcome and every gradient of a sum that weighs each pixel differently."""
    made = layer(inputs)
    weights = torch.arange(made.numel(), dtype=made.dtype).reshape(made.shape).sin()
    return [made, *torch.autograd.grad((made * weights).sum(), [inputs, *layer.parameters()])]


@pytest.mark.parametrize(("ours", "torchs", "side", "filters"), LAYERS, ids=["halving", "doubling"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_is_torchs_own_layer(
    ours: type[nn.Module], torchs: type[nn.Module], side: int, filters: int, memory_format: torch.memory_format
) -> None:
    mine = ours(4, filters).double()
    theirs = torchs(4, filters, 3, stride=2, padding=1, **({"output_padding": 1} if ours is Doubling else {}))
    theirs = theirs.double()
    theirs.load_state_dict(mine.state_dict())
    inputs = torch.randn(3, 4, side, side, dtype=torch.float64).contiguous(memory_format=memory_format)
    inputs.requires_grad_()
    for here, there in zip(outcome(mine, inputs), outcome(theirs, inputs), strict=True):
        torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("ours", "side"), [(Halving, 6), (Doubling, 3)])
def test_the_gradients_are_those_of_small_steps(ours: type[nn.Module], side: int) -> None:
    layer = ours(2, 3).double()
    inputs = torch.randn(2, 2, side, side, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (inputs,))


def test_the_first_layer_asks_for_no_gradient_of_the_picture() -> None:
    layer, inputs = Halving(1, 4), torch.rand(2, 1, 8, 8)
    layer(inputs).sum().backward()
    assert inputs.grad is None
    assert layer.weight.grad is not None


def test_a_trained_layer_that_only_encodes_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strided, "_Halved", None)
    monkeypatch.setattr(strided, "_Doubled", None)
    inputs = torch.rand(1, 4, 8, 8)
    assert Doubling(4, 4).eval()(Halving(4, 4).eval()(inputs)).shape == inputs.shape
    with torch.inference_mode():
        assert Doubling(4, 4)(Halving(4, 4)(inputs)).shape == inputs.shape


def test_each_tap_meets_its_own_pixel() -> None:
    small, large = torch.zeros(1, 1, 2, 2), torch.arange(16.0).reshape(1, 1, 4, 4)
    small[0, 0, 1, 1] = 1
    assert weight_gradient(small, large).flatten().tolist() == [5, 6, 7, 9, 10, 11, 13, 14, 15]
    small.fill_(0)[0, 0, 0, 0] = 1  # the border's neighbours are padding
    assert weight_gradient(small, large).flatten().tolist() == [0, 0, 0, 0, 0, 1, 0, 4, 5]
