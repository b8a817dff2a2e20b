"""How many of the nearest carry the right label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cbmir.training.neighbours import precision


def directions(count: int, seed: int) -> Tensor:
    return functional.normalize(torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)))


def labels(count: int, seed: int) -> Tensor:
    """Of one in ten none, else one or two of four."""
    random = np.random.default_rng(seed)
    targets = np.zeros((count, 4), np.float32)
    for row in np.flatnonzero(random.random(count) > 0.1):
        chosen = random.choice(4, random.integers(1, 3), replace=False)
        targets[row, chosen] = 1 / len(chosen)
    return torch.from_numpy(targets)


def test_it_is_what_counting_by_hand_gives() -> None:
    queries, gallery, wanted, found = directions(30, 0), directions(200, 1), labels(30, 2), labels(200, 3)
    shares = []
    for query, names in zip(queries.numpy(), wanted.numpy(), strict=True):
        if names.any():
            labelled = [row for row in range(200) if found[row].any()]
            labelled.sort(key=lambda row: float(((gallery[row].numpy() - query) ** 2).sum()))
            shares.append(np.mean([bool(((found[row].numpy() > 0) & (names > 0)).any()) for row in labelled[:5]]))
    assert precision(queries, wanted, gallery, found) == pytest.approx(np.mean(shares))


def test_of_a_gallery_of_two_both_are_looked_at() -> None:
    queries, gallery = directions(1, 0), directions(2, 1)
    assert precision(queries, torch.eye(2)[:1], gallery, torch.eye(2)) == 0.5


def test_without_labels_there_is_nothing_to_find() -> None:
    queries, gallery, none = directions(2, 0), directions(2, 1), torch.zeros(2, 2)
    assert precision(queries, none, gallery, torch.eye(2)) == 0
    assert precision(queries, torch.eye(2), gallery, none) == 0
