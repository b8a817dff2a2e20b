"""Convolutions of 3 x 3 that halve or double a picture's side, with gradients as plain matrix products.

What they compute is torch's `Conv2d` and `ConvTranspose2d` of stride 2, and so is every gradient. But on a CPU the
gradient of such a layer's weights takes torch several times as long as the layer itself, and longer the larger the
picture. Each of the nine weights between two channels meets every pixel of the small picture once, so that gradient
is one matrix product: the small picture against the nine neighbours of each of its pixels in the large one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

TAPS = 3
"""A filter's side."""
GATHERED = 1 << 19
"""Numbers gathered for one product: 2 MiB, which stay in the processor's cache."""


class Halving(nn.Conv2d):
    """float32 (n, channels, 2 side, 2 side) -> (n, filters, side, side), one pixel of padding on every side."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, TAPS, stride=2, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve."""
        if _is_trained(self, inputs):
            halved: Tensor = _Halved.apply(inputs, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return halved
        return super().forward(inputs)


class Doubling(nn.ConvTranspose2d):
    """float32 (n, channels, side, side) -> (n, filters, 2 side, 2 side): the mirror of `Halving`."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, TAPS, stride=2, padding=1, output_padding=1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve; the size of the output is always the double."""
        if _is_trained(self, input):
            doubled: Tensor = _Doubled.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return doubled
        return super().forward(input)


def _is_trained(layer: nn.Module, inputs: Tensor) -> bool:
    """Whether gradients will be asked for on a CPU; elsewhere torch's own are the better ones."""
    return layer.training and torch.is_grad_enabled() and inputs.device.type == "cpu"


class _Halved(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return functional.conv2d(inputs, weight, bias, stride=2, padding=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (gradient,), (inputs, weight) = gradients, ctx.saved_tensors
        wanted = ctx.needs_input_grad[0]
        back = functional.conv_transpose2d(gradient, weight, None, 2, 1, 1) if wanted else None
        return back, weight_gradient(gradient, inputs), gradient.sum((0, 2, 3))


class _Doubled(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return functional.conv_transpose2d(inputs, weight, bias, 2, 1, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (gradient,), (inputs, weight) = gradients, ctx.saved_tensors
        back = functional.conv2d(gradient, weight, None, 2, 1) if ctx.needs_input_grad[0] else None
        return back, weight_gradient(inputs, gradient), gradient.sum((0, 2, 3))


def weight_gradient(small: Tensor, large: Tensor) -> Tensor:
    """The gradient of the weights between a small and a large picture, whichever of both came from the other.

    Args:
        small: shape (n, a, side, side): the outcome's gradient of a `Halving`, or the input of a `Doubling`.
        large: shape (n, b, 2 side, 2 side): the input of a `Halving`, or the outcome's gradient of a `Doubling`.

    Returns:
        Shape (a, b, 3, 3), summed over the n pictures.
    """
    count, a, side = small.shape[:3]
    b = large.shape[1]
    pixels = small.permute(0, 2, 3, 1)
    padded = functional.pad(large.permute(0, 2, 3, 1), (0, 0, 1, 0, 1, 0))  # (n, 2 side + 1, 2 side + 1, b)
    rows = max(1, min(side, GATHERED // (side * TAPS * TAPS * b)))
    gathered = small.new_empty(rows, side, TAPS, TAPS * b)
    total = small.new_zeros(TAPS * TAPS * b, a)
    for picture in range(count):
        for start in range(0, side, rows):
            here = pixels[picture, start : start + rows].reshape(-1, a)
            taps = gathered[: here.shape[0] // side].copy_(
                _neighbours(padded[picture], start, here.shape[0] // side)
            )
            total.addmm_(taps.view(-1, TAPS * TAPS * b).t(), here)
    return total.view(TAPS, TAPS, b, a).permute(3, 2, 0, 1)


def _neighbours(padded: Tensor, start: int, rows: int) -> Tensor:
    """The 3 x 3 pixels of a padded picture around every second one of some rows: a view, (rows, side, 3, 3 b)."""
    width, b = padded.shape[1:]
    line = width * b
    offset = padded.storage_offset() + 2 * start * line
    return padded.as_strided((rows, width // 2, TAPS, TAPS * b), (2 * line, 2 * b, line, 1), offset)
