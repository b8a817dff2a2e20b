"""The state of a training after an epoch, in one safetensors file: killed at any moment, it goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cbmir.encoders import weights
from cbmir.errors import WeightsMismatch
from cbmir.files import write_whole

FILE = "checkpoint.safetensors"
STATE = "state"

Tensors = dict[str, Tensor]


@dataclass
class Record:
    """What a training has come to, beside the weights themselves.

    Attributes:
        history: one row an epoch: `epoch` (from 1), `train_loss`, `validation_loss`, `learning_rate`, `seconds`,
            and what else a kind of training looks at.
        step: optimiser steps done.
        best_epoch: the one that `cbmir.training.history.best` names; 0 before the first.
        best: the weights of that epoch, by their names in the network's state.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    best_epoch: int = 0
    best: Tensors = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)


def save(folder: Path, network: nn.Module, optimiser: Optimizer, record: Record) -> None:
    """Replace the checkpoint in `folder` by the present state.

    Args:
        folder: of this training.
        network: that is trained.
        optimiser: that trains it, after its first step.
        record: what came of it so far.

    Raises:
        cbmir.errors.DiskFull: if it does not fit; the last checkpoint is kept.
    """
    state = {"history": record.history, "step": record.step, "best_epoch": record.best_epoch}
    tensors = {
        **_prefixed("network", network.state_dict()),
        **_prefixed("best", record.best),
        **_prefixed("optimiser", dict(_moments(optimiser))),
    }
    write_whole(folder / FILE, weights.to_bytes(tensors, {STATE: json.dumps(state, allow_nan=False)}))


def restore(folder: Path, network: nn.Module, optimiser: Optimizer) -> Record:
    """Bring network and optimiser to the state of the checkpoint in `folder`.

    Args:
        folder: of this training.
        network: whose weights are overwritten, if there is a checkpoint.
        optimiser: whose state is overwritten likewise.

    Returns:
        What the training had come to; an empty record where there is no checkpoint.

    Raises:
        cbmir.errors.WeightsMismatch: if the file is not a checkpoint of this network.
    """
    path = folder / FILE
    if not path.exists():
        return Record()
    data = path.read_bytes()
    tensors = weights.from_bytes(data, path.name)
    weights.fill(network, _part("network", tensors), path.name)
    _set_moments(optimiser, _part("optimiser", tensors))
    return Record(best=_part("best", tensors), **_state(data, path))


def _state(data: bytes, path: Path) -> dict[str, Any]:
    # safetensors: 8 bytes little endian, the header's length; then the header, a JSON object
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        state: dict[str, Any] = json.loads(header["__metadata__"][STATE])
    except (ValueError, KeyError) as error:
        raise WeightsMismatch(
            f"The checkpoint {path.name} is not one.", f"Remove the folder {path.parent.name} below `training`."
        ) from error
    return state


def _moments(optimiser: Optimizer) -> Iterator[tuple[str, Tensor]]:
    for number, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            yield f"{number}.{name}", value


def _set_moments(optimiser: Optimizer, moments: Mapping[str, Tensor]) -> None:
    for number, values in enumerate(optimiser.param_groups[0]["params"]):
        part = _part(str(number), moments)
        optimiser.state[values] = {name: _beside(values, moment) for name, moment in part.items()}


def _beside(values: Tensor, moment: Tensor) -> Tensor:
    """A moment on the device of its weights, and in their memory format: the fused optimiser goes through both."""
    return torch.empty_like(values).copy_(moment) if moment.shape == values.shape else moment.to(values.device)


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
