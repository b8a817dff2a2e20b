"""Sums of losses and gradients in a fixed order: pair by pair, then pairs of pairs.

Floating point addition is not associative. Of this tree every aligned block of two, four, eight … parts is a
branch, which may be summed elsewhere without changing a bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sum:
    """The loss of some pictures, weighed by their share of the batch, and its gradient for each parameter."""

    loss: float
    gradients: list[Tensor]

    def plus(self, other: Sum) -> Sum:
        """The sum of both; this one's gradients are used up."""
        torch._foreach_add_(self.gradients, other.gradients)
        return Sum(self.loss + other.loss, self.gradients)


def summed(parts: Iterable[Sum]) -> Sum | None:
    """The sum of all parts in the order of the tree, None of none; as many are held at once as the tree is high."""
    waiting: list[tuple[int, Sum]] = []  # the height of each, from the left; lower to the right
    for part in parts:
        height = 0
        while waiting and waiting[-1][0] == height:
            part, height = waiting.pop()[1].plus(part), height + 1
        waiting.append((height, part))
    total: Sum | None = None
    for _, part in reversed(waiting):
        total = part if total is None else part.plus(total)
    return total


def block(parts: int, processes: int) -> int:
    """How many neighbouring parts a process sums, so that each block is a branch of the tree: a power of two."""
    size = 1
    while size * processes < parts:
        size *= 2
    return size
