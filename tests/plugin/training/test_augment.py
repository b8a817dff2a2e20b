"""Varied pictures are still pictures, varied by chance alone, and not mirrored."""

from __future__ import annotations

import numpy as np
import torch

from cbmir.training.augment import augmented


def pictures() -> torch.Tensor:
    """Bright on the left, dark on the right."""
    row = torch.linspace(1, 0, 32).expand(32, 32)
    return row.expand(64, 1, 32, 32).clone()


def test_the_same_chance_gives_the_same_pictures() -> None:
    once, again = (augmented(pictures(), np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, augmented(pictures(), np.random.default_rng(4)))


def test_they_stay_in_range_and_all_differ() -> None:
    varied = augmented(pictures(), np.random.default_rng(0))
    assert varied.shape == (64, 1, 32, 32)
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert len({each.numpy().tobytes() for each in varied}) == 64


def test_left_stays_left() -> None:
    varied = augmented(pictures(), np.random.default_rng(0))
    middle = varied[:, 0, 8:24]
    assert (middle[:, :, 4:12].mean((1, 2)) > middle[:, :, 20:28].mean((1, 2))).float().mean() > 0.95
