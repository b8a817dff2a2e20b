"""The processes that train one network together, on one host or on several, started by torch's launcher."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from cbmir.errors import TrainingFailed
from cbmir.training.sums import Sum, block

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one prepares the pictures meanwhile. One that has ended is
noticed at once."""


class Team(Protocol):
    """Who shares the pieces of a batch."""

    is_first: bool
    """Whether this process is the one that writes."""

    def share(self, pieces: int) -> slice:
        """Those of the pieces of a batch that are this process's."""

    def numbers(self, own: Sequence[float], pieces: int) -> list[float]:
        """One number a piece, of all processes in the order of the pieces."""

    def sums(self, own: Sum | None, pieces: int, like: Sequence[Tensor]) -> list[Sum]:
        """Each process's sum over its share, in order; those that have none are left out.

        Args:
            own: this process's.
            pieces: of the batch.
            like: tensors of the shapes of the gradients.
        """

    def wait(self) -> None:
        """Until all have come here."""


class Alone:
    """One process does it all."""

    is_first = True

    def share(self, pieces: int) -> slice:
        """All of them."""
        return slice(pieces)

    def numbers(self, own: Sequence[float], pieces: int) -> list[float]:
        """Its own."""
        return list(own)

    def sums(self, own: Sum | None, pieces: int, like: Sequence[Tensor]) -> list[Sum]:
        """Its own."""
        return [own] if own else []

    def wait(self) -> None:
        """Nobody else comes."""


class Together:
    """Processes that `torchrun` has started, over gloo; use `team`.

    The sums of all are sent to all and added there in one order, so that the weights are the same to the last bit
    in each process, and the same as those of one process alone.
    """

    def __init__(self) -> None:
        self._rank, self._size = dist.get_rank(), dist.get_world_size()
        self.is_first = self._rank == 0

    def share(self, pieces: int) -> slice:
        """Neighbours, as many as make a branch of the sum's tree."""
        return _share(self._rank, self._size, pieces)

    def numbers(self, own: Sequence[float], pieces: int) -> list[float]:
        """See `Team.numbers`."""
        size = block(pieces, self._size)
        padded = torch.tensor([*own, *[0.0] * (size - len(own))], dtype=torch.float64)
        return [number for each in self._gathered(padded) for number in each.tolist()][:pieces]

    def sums(self, own: Sum | None, pieces: int, like: Sequence[Tensor]) -> list[Sum]:
        """See `Team.sums`."""
        loss = torch.tensor([own.loss if own else 0.0], dtype=torch.float64)
        gradients = own.gradients if own else [torch.zeros_like(each) for each in like]
        losses = self._gathered(loss)
        flat = self._gathered(torch.cat([each.reshape(-1) for each in gradients]))
        busy = [len(range(pieces)[_share(rank, self._size, pieces)]) > 0 for rank in range(self._size)]
        return [
            Sum(loss.item(), _unflat(each, like)) for loss, each, has in zip(losses, flat, busy, strict=True) if has
        ]

    def wait(self) -> None:
        """See `Team.wait`."""
        with _noticed():
            dist.barrier()

    def _gathered(self, own: Tensor) -> list[Tensor]:
        found = [torch.empty_like(own) for _ in range(self._size)]
        with _noticed():
            dist.all_gather(found, own)
        return found


@contextmanager
def team() -> Iterator[Team]:
    """The processes that torch's launcher has started with this one; this one alone where it did not start it."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or not dist.is_torchelastic_launched():
        yield Alone()
        return
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Together()
    finally:
        dist.destroy_process_group()


def _share(rank: int, size: int, pieces: int) -> slice:
    each = block(pieces, size)
    return slice(min(pieces, rank * each), min(pieces, (rank + 1) * each))


def _unflat(values: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    parts = torch.split(values, [each.numel() for each in like])
    return [part.view(each.shape) for part, each in zip(parts, like, strict=True)]


@contextmanager
def _noticed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what gloo raises when a peer's connection closes
        raise TrainingFailed(
            "Another process of this training has ended.",
            "Its own message says why; started again, the training goes on from its last epoch.",
        ) from error
