"""Pictures as they might also have been taken: shifted, turned a little, brighter, noisier, with a part covered.

Left stays left and up stays up: a mirrored chest is another finding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

TURN = 0.2
"""Radians to either side."""
SHIFT = 0.1
"""Of half the side, in each direction."""
ZOOM = (0.9, 1.25)
STRETCH = (0.92, 1.08)
"""Of the height against the width."""
GAMMA = 0.45
"""Natural logarithm of the exponent, to either side."""
CONTRAST, BRIGHTNESS = (0.75, 1.25), (-0.1, 0.1)
NOISE = 0.04
"""Largest standard deviation."""
BLURRED, NOISY, COVERED = 0.25, 0.5, 0.35
"""Shares of the pictures that this happens to."""
COVER = (0.125, 0.375)
"""Sides of the covered box, as shares of the picture's."""


def augmented(pictures: Tensor, chance: np.random.Generator) -> Tensor:
    """Each picture, varied by chance: float32 (n, 1, side, side) in [0, 1] -> the same."""
    varied = _toned(_placed(pictures, chance), chance)
    _blur(varied, chance)
    _disturb(varied, chance)
    _cover(varied, chance)
    return varied.clamp_(0, 1)


def _placed(pictures: Tensor, chance: np.random.Generator) -> Tensor:
    count = len(pictures)
    angle, across = chance.uniform(-TURN, TURN, count), 1 / chance.uniform(*ZOOM, count)
    down = across * chance.uniform(*STRETCH, count)
    shift = chance.uniform(-SHIFT, SHIFT, (2, count))
    cosine, sine = np.cos(angle), np.sin(angle)
    maps = [[across * cosine, -across * sine, shift[0]], [down * sine, down * cosine, shift[1]]]
    matrices = torch.from_numpy(np.array(maps, np.float32).transpose(2, 0, 1)).to(pictures.device)
    grid = functional.affine_grid(matrices, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False).clamp_(0, 1)


def _toned(pictures: Tensor, chance: np.random.Generator) -> Tensor:
    count = len(pictures)
    exponent = _each(np.exp(chance.uniform(-GAMMA, GAMMA, count)), pictures)
    contrast, brightness = (_each(chance.uniform(*span, count), pictures) for span in (CONTRAST, BRIGHTNESS))
    return (pictures**exponent - 0.5) * contrast + 0.5 + brightness


def _blur(pictures: Tensor, chance: np.random.Generator) -> None:
    rows = _some(len(pictures), BLURRED, chance)
    around = functional.pad(pictures[rows], (1, 1, 1, 1), mode="replicate")
    pictures[rows] = functional.avg_pool2d(around, 3, stride=1)


def _disturb(pictures: Tensor, chance: np.random.Generator) -> None:
    rows = _some(len(pictures), NOISY, chance)
    generator = torch.Generator(pictures.device).manual_seed(int(chance.integers(2**63)))
    noise = torch.randn(pictures[rows].shape, generator=generator, device=pictures.device)
    pictures[rows] += noise * _each(chance.uniform(0, NOISE, len(rows)), pictures)


def _cover(pictures: Tensor, chance: np.random.Generator) -> None:
    side = pictures.shape[-1]
    least, most = (int(share * side) for share in COVER)
    for row in _some(len(pictures), COVERED, chance):
        height, width = chance.integers(least, most + 1, 2)
        top, left = chance.integers(0, side - height + 1), chance.integers(0, side - width + 1)
        pictures[row, :, top : top + height, left : left + width] = chance.random()


def _each(values: npt.NDArray[np.float64], pictures: Tensor) -> Tensor:
    """One number a picture, beside whom it lies."""
    return torch.from_numpy(values.astype(np.float32)).view(-1, 1, 1, 1).to(pictures.device)


def _some(count: int, share: float, chance: np.random.Generator) -> list[int]:
    return np.flatnonzero(chance.random(count) < share).tolist()
