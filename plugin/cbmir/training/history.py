"""What a training says of its epochs, and which of them is kept. No torch here: the web marks it in a curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def best(history: Sequence[Mapping[str, Any]]) -> int:
    """The epoch, from 1, whose weights are kept; 0 where there is none yet.

    Where the rows have a `validation_precision`, the last of the highest: while a training by labels goes on, more
    and more neighbours are right, though the loss rises again as the network grows too sure of itself. Else the
    first of the lowest `validation_loss`.
    """
    if not history:
        return 0
    epochs = range(len(history))
    if "validation_precision" in history[0]:
        return 1 + max(epochs, key=lambda epoch: (history[epoch]["validation_precision"], epoch))
    return 1 + min(epochs, key=lambda epoch: history[epoch]["validation_loss"])
