"""Losses and their gradients, piece by piece, by several threads, and by several processes.

Each piece goes through the network in one thread, and the pieces are summed pair by pair in their order: the number
of threads and of processes changes the time, and not one bit of the outcome. Nor do threads wait for each other
layer by layer, as torch's own do: on a busy machine that takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cbmir.encoders.base import scaled
from cbmir.encoders.device import PROCESSOR
from cbmir.training.objectives import Objective, Rows
from cbmir.training.sums import Sum, summed
from cbmir.training.team import Alone, Team
from cbmir.types import ByteArray

AT_ONCE = 4
"""Pictures of a piece on a processor: their activations stay in its cache, memory does not grow with the batch, and
a batch of 32 gives work to eight threads."""
AT_MOST = 1 << 20
"""Pixels of a piece on a graphics card, which takes a usual batch whole: what the paper's network keeps of them to
learn from is some 2 GB, however large pictures and batch are."""


class Losses:
    """Mean losses over pictures, and their gradients.

    Args:
        network: takes float32 (n, channels, side, side); its weights in the memory format channels last. It runs
            on the device on which they are.
        pictures: uint8, shape (n, channels, side, side).
        objective: what the network is to do.
        pool: the threads; see `workers`.
        team: the processes that do the same with the same, each a share of the pieces.
    """

    def __init__(
        self,
        network: nn.Module,
        pictures: ByteArray,
        objective: Objective,
        pool: ThreadPoolExecutor,
        team: Team | None = None,
    ) -> None:
        self._network = network
        self._pictures = pictures
        self._objective = objective
        self._pool = pool
        self._team = team or Alone()
        self._parameters = list(network.parameters())
        self._device = self._parameters[0].device
        self._at_once = at_once(self._device, pictures.shape[-1])
        self._sums = [torch.zeros_like(each) for each in self._parameters]  # of the weights' memory format
        for parameter, gradient in zip(self._parameters, self._sums, strict=True):
            parameter.grad = gradient

    def mean(self, rows: Rows) -> float:
        """The mean over these pictures, with the present weights."""
        pieces = self._pieces(rows)
        own = list(self._pool.map(self._loss, pieces[self._team.share(len(pieces))]))
        losses = self._team.numbers(own, len(pieces))
        return sum(loss * len(piece) for piece, loss in zip(pieces, losses, strict=True)) / len(rows)

    def descend(self, rows: Rows) -> float:
        """The mean over these pictures; its gradient is left with the network's parameters."""
        pieces = self._pieces(rows)
        own = pieces[self._team.share(len(pieces))]
        found = summed(self._pool.map(self._descended, own, [len(piece) / len(rows) for piece in own]))
        total = summed(self._team.sums(found, len(pieces), self._sums))
        if total is None:
            return 0.0
        torch._foreach_copy_(self._sums, total.gradients)
        return total.loss

    def _descended(self, piece: Rows, share: float) -> Sum:
        loss = self._of(piece) * share
        return Sum(loss.item(), list(torch.autograd.grad(loss, self._parameters)))

    def _loss(self, piece: Rows) -> float:
        with torch.inference_mode():
            return self._of(piece).item()

    def _of(self, piece: Rows) -> Tensor:
        inputs = torch.from_numpy(scaled(self._pictures[piece])).to(self._device)
        return self._objective(self._network, inputs.contiguous(memory_format=torch.channels_last), piece)

    def _pieces(self, rows: Rows) -> list[Rows]:
        return [rows[start : start + self._at_once] for start in range(0, len(rows), self._at_once)]


def at_once(device: torch.device, side: int) -> int:
    """Pictures of a piece, where each has so many pixels a side."""
    return AT_ONCE if device.type == PROCESSOR else max(1, AT_MOST // side**2)


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads for `Losses`; meanwhile torch itself uses one in each of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
