"""What a network is trained to do: the mean loss of a few pictures, which a training then makes smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

Rows = npt.NDArray[np.int64]

Objective = Callable[[nn.Module, Tensor, Rows], Tensor]
"""Of a network, inputs float32 (n, channels, side, side) in [0, 1] and the rows that they are of, int64 (n,): the
mean loss, a scalar. The loss of each picture may depend on no other one, as a batch is cut into pieces."""


def reconstruction(network: nn.Module, inputs: Tensor, _rows: Rows) -> Tensor:
    """Mean squared error of an autoencoder's reconstruction, in units of the range [0, 1] squared."""
    return functional.mse_loss(network(inputs), inputs)


def naming(labels: Sequence[str]) -> Objective:
    """Mean cross-entropy, in nats, of a network that gives a score to each of the labels in alphabetical order.

    Args:
        labels: of all pictures, by their rows.
    """
    numbers = torch.from_numpy(np.unique(np.array(labels), return_inverse=True)[1])

    def cross_entropy(network: nn.Module, inputs: Tensor, rows: Rows) -> Tensor:
        wanted = numbers[torch.from_numpy(rows)].to(inputs.device)
        return functional.cross_entropy(network(inputs), wanted)

    return cross_entropy
