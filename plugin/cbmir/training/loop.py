"""The training itself: Adam, a learning rate that decays by the step, the weights of the lowest validation loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cbmir.encoders.device import PROCESSOR
from cbmir.progress import Progress
from cbmir.training import checkpoint, checks, history
from cbmir.training.checkpoint import Record, Tensors
from cbmir.training.gradients import Losses
from cbmir.training.objectives import Objective, Rows, reconstruction
from cbmir.training.team import Alone, Team
from cbmir.types import ByteArray


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are the paper's."""

    epochs: int = 35
    batch_size: int = 32
    seed: int = 0
    learning_rate: float = 1e-3
    decay: float = 2e-5
    """By the step: learning_rate / (1 + decay * step), as Keras' inverse-time decay."""
    epsilon: float = 1e-7
    """Adam's; Keras' default."""

    def rate(self, step: int) -> float:
        """The learning rate of a step; the first is step 0."""
        return self.learning_rate / (1 + self.decay * step)


@dataclass(frozen=True)
class Material:
    """What is trained on.

    Attributes:
        pictures: uint8, shape (n, channels, side, side).
        train: rows of it, int64, at least one.
        validation: rows of it, int64, at least one.
    """

    pictures: ByteArray
    train: Rows
    validation: Rows


Judge = Callable[[nn.Module, Material], Mapping[str, float]]
"""Looks at the network after each epoch; its figures stand in the history beside the losses, and change nothing."""


def no_judge(_network: nn.Module, _material: Material) -> Mapping[str, float]:
    """No figures."""
    return {}


class Training:
    """One run from the first epoch, or from where an earlier start was cut off, to the last.

    Args:
        network: initialised; takes float32 (n, channels, side, side).
        material: what it is trained on.
        recipe: how.
        folder: where the checkpoint is kept; one folder for each material and recipe.
        pool: the threads, from `cbmir.training.gradients.workers`.
        objective: what it is trained to do.
        judge: what else is to be known of each epoch.
        team: the processes that run the same training together.
        device: as torch names it, such as `cpu` or `cuda`.
    """

    def __init__(
        self,
        network: nn.Module,
        material: Material,
        recipe: Recipe,
        folder: Path,
        pool: ThreadPoolExecutor,
        objective: Objective = reconstruction,
        judge: Judge = no_judge,
        team: Team | None = None,
        device: str = PROCESSOR,
    ) -> None:
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._material = material
        self._recipe = recipe
        self._folder = folder
        self._judge = judge
        self._team = team or Alone()
        self._losses = Losses(self._network, material.pictures, objective, pool, self._team)
        self._optimiser = torch.optim.Adam(
            self._network.parameters(), recipe.learning_rate, eps=recipe.epsilon, fused=True
        )

    def run(self, progress: Progress) -> Record:
        """Train to the last epoch.

        On one kind of processor the outcome is the same to the last bit, whatever the number of threads and of
        processes, and whether it was cut off in between or not. On a graphics card it is nearly the same.

        Args:
            progress: told after every batch; after every epoch with the detail `history`.

        Returns:
            The record, with the weights of the lowest validation loss; the first of equals.

        Raises:
            cbmir.errors.TrainingFailed: if the loss is no number any more, or another process has ended.
            cbmir.errors.JobCancelled: if the job should stop.
            cbmir.errors.DiskFull: if a checkpoint does not fit.
                In each case the last checkpoint stays.
        """
        record = checkpoint.restore(self._folder, self._network, self._optimiser)
        self._tell(progress, record, 0)
        while record.epoch < self._recipe.epochs:
            self._epoch(record, progress)
            if self._team.is_first:
                checkpoint.save(self._folder, self._network, self._optimiser, record)
            self._tell(progress, record, 0)
        return record

    def _epoch(self, record: Record, progress: Progress) -> None:
        start, epoch = time.monotonic(), record.epoch + 1
        train_loss = self._pass(record, epoch, progress)
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": checks.finite(self._losses.mean(self._material.validation), epoch),
            "learning_rate": self._recipe.rate(record.step - 1),
            "seconds": round(time.monotonic() - start, 3),
            **self._judge(self._network, self._material),
        }
        record.history.append(row)
        if history.best(record.history) == epoch:
            record.best_epoch, record.best = epoch, _copy(self._network)

    def _pass(self, record: Record, epoch: int, progress: Progress) -> float:
        """One pass over the training part; the mean loss over it, each picture as it stood when it was seen."""
        total = 0.0
        for number, rows in enumerate(self._batches(epoch), 1):
            total += checks.finite(self._step(rows, self._recipe.rate(record.step)), epoch) * len(rows)
            record.step += 1
            self._tell(progress, record, number)
        return total / len(self._material.train)

    def _batches(self, epoch: int) -> list[Rows]:
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(self._material.train)
        size = self._recipe.batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]

    def _step(self, rows: Rows, rate: float) -> float:
        self._optimiser.param_groups[0]["lr"] = rate
        loss = self._losses.descend(rows)
        self._optimiser.step()
        return loss

    def loss(self, weights: Tensors, rows: Rows) -> float:
        """The mean loss over these pictures with these weights."""
        self._network.load_state_dict(weights)
        return self._losses.mean(rows)

    def _tell(self, progress: Progress, record: Record, batches: int) -> None:
        in_epoch = -(-len(self._material.train) // self._recipe.batch_size)
        done, total = record.epoch * in_epoch + batches, self._recipe.epochs * in_epoch
        detail: dict[str, Any] | None = None if batches else {"history": list(record.history)}
        progress.update(done, total, _message(record, self._recipe.epochs), detail)


def _message(record: Record, epochs: int) -> str:
    if record.epoch >= epochs:
        return f"epoch {epochs} of {epochs}"
    loss = f", loss {record.history[-1]['validation_loss']:.5f}" if record.history else ""
    return f"epoch {record.epoch + 1} of {epochs}{loss}"


def _copy(network: nn.Module) -> Tensors:
    return {name: values.detach().clone() for name, values in network.state_dict().items()}
