"""Training by labels: the loop, from a network that has seen photographs or another archive to one for this."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cbmir.encoders.device import CARD
from cbmir.encoders.efficientnet_lite import HEAD
from cbmir.encoders.efficientnet_network import EfficientNetLite
from cbmir.progress import Progress
from cbmir.training import checkpoint, checks, history, neighbours
from cbmir.training.augment import augmented
from cbmir.training.checkpoint import Record, Tensors
from cbmir.training.objectives import Rows
from cbmir.training.proxies import Proxies
from cbmir.types import ByteArray, FloatArray


@dataclass(frozen=True)
class LabelRecipe:
    """How to train by labels."""

    epochs: int = 6
    batch_size: int = 64
    seed: int = 0
    learning_rate: float = 1e-3
    """The highest; it rises to there in the first part of all steps and falls to 0 along a cosine."""
    warm_up: float = 0.15
    weight_decay: float = 0.02
    mixing: float = 0.1
    """Both parameters of the beta distribution that says how far a picture is mixed with another of its batch
    ('mixup', Zhang et al., 2018): labels that two readers would not agree on are then not learnt by heart."""
    memory: float = 0.995
    """Of the weights' moving average, which is what is kept: the share that stays at a step."""
    gallery: int = 2_000
    """Of the pictures to train on, how many those that validate are compared with after each epoch, at most."""

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, the first being 0, of so many."""
        rising = max(1, round(self.warm_up * steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


@dataclass(frozen=True)
class LabelledMaterial:
    """What is trained on.

    Attributes:
        pictures: uint8, shape (n, 1, side, side).
        targets: float32 (n, labels): what share of a picture each label has; 0 throughout where it has none.
        train: rows of both, int64, at least two.
        validation: rows of both, int64, at least one.
    """

    pictures: ByteArray
    targets: FloatArray
    train: Rows
    validation: Rows


class _Trained(nn.Module):
    """All that a checkpoint keeps: the network, the average of its weights, and the proxies."""

    def __init__(self, network: EfficientNetLite, labels: int) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False).eval()
        self.proxies = Proxies(labels, HEAD)

    def weights(self) -> list[nn.Parameter]:
        return [each for each in self.parameters() if each.requires_grad]

    def follow(self, memory: float) -> None:
        """Let the average move towards the present weights."""
        mean, now = (_moving(each) for each in (self.average, self.network))
        torch._foreach_lerp_(mean, now, 1 - memory)


def _moving(network: nn.Module) -> list[Tensor]:
    return [each for each in network.state_dict().values() if each.is_floating_point()]


class LabelTraining:
    """One run from the first epoch, or from where an earlier start was cut off, to the last.

    Args:
        network: with the weights that it starts from.
        material: what it is trained on.
        recipe: how.
        folder: where the checkpoint is kept; one folder for each material and recipe.
        device: as torch names it, such as `cpu` or `cuda`.
    """

    def __init__(
        self, network: EfficientNetLite, material: LabelledMaterial, recipe: LabelRecipe, folder: Path, device: str
    ) -> None:
        self._material, self._recipe, self._folder, self._device = material, recipe, folder, device
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(recipe.seed)
            self._trained = _Trained(network, material.targets.shape[1])
        self._trained.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(
            self._trained.weights(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self._steps = recipe.epochs * self._batches_of_an_epoch()
        self._often = _often(material.targets[material.train])
        few = np.random.default_rng(recipe.seed).permutation(material.train)[: recipe.gallery]
        self._gallery: Rows = np.sort(few)

    def run(self, progress: Progress) -> Record:
        """Train to the last epoch.

        Args:
            progress: told after every batch; after every epoch with the detail `history`.

        Returns:
            The record, with the averaged weights of the epoch that `history.best` names, by their names in the
            network.

        Raises:
            cbmir.errors.TrainingFailed: if the loss is no number any more.
            cbmir.errors.JobCancelled: if the job should stop.
            cbmir.errors.DiskFull: if a checkpoint does not fit.
                In each case the last checkpoint stays.
        """
        record = checkpoint.restore(self._folder, self._trained, self._optimiser)
        while record.epoch < self._recipe.epochs:
            self._epoch(record, progress)
            checkpoint.save(self._folder, self._trained, self._optimiser, record)
            self._tell(progress, record, record.step)
        return record

    def loss(self, weights: Tensors, rows: Rows) -> float:
        """Cross-entropy of these pictures' labels with these weights; 0 where none is labelled."""
        self._trained.average.load_state_dict(weights)
        return self._mean(rows)

    def _epoch(self, record: Record, progress: Progress) -> None:
        start, epoch = time.monotonic(), record.epoch + 1
        train_loss = self._pass(record, epoch, progress)
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": checks.finite(self._mean(self._material.validation), epoch),
            "validation_precision": self._precision(),
            "learning_rate": self._recipe.rate(record.step - 1, self._steps),
            "seconds": round(time.monotonic() - start, 3),
        }
        record.history.append(row)
        if history.best(record.history) == epoch:
            record.best_epoch = epoch
            record.best = {name: each.clone() for name, each in self._trained.average.state_dict().items()}

    def _pass(self, record: Record, epoch: int, progress: Progress) -> float:
        chance, total = np.random.default_rng([self._recipe.seed, epoch]), 0.0
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(int(chance.integers(2**31)))  # for the dropout
            self._trained.network.train()
            for _ in range(self._batches_of_an_epoch()):
                rows = chance.choice(self._material.train, self._recipe.batch_size, p=self._often)
                total += checks.finite(self._step(rows, record.step, chance), epoch)
                record.step += 1
                self._tell(progress, record, record.step)
        return total / self._batches_of_an_epoch()

    def _step(self, rows: Rows, step: int, chance: np.random.Generator) -> float:
        self._optimiser.param_groups[0]["lr"] = self._recipe.rate(step, self._steps)
        inputs, targets = self._mixed(rows, chance)
        with torch.autocast(self._device, torch.bfloat16, enabled=self._device == CARD):
            features = self._trained.network(inputs)
        loss = self._trained.proxies.loss(features.float(), targets)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._trained.follow(min(self._recipe.memory, (1 + step) / (10 + step)))
        return loss.item()

    def _mixed(self, rows: Rows, chance: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Varied pictures and their labels, each mixed with another of the batch."""
        share = float(chance.beta(self._recipe.mixing, self._recipe.mixing))
        other = torch.from_numpy(chance.permutation(len(rows))).to(self._device)
        inputs, targets = augmented(self._inputs(rows), chance), self._targets(rows)
        inputs, targets = (each.lerp(each[other], share) for each in (inputs, targets))
        return inputs.contiguous(memory_format=torch.channels_last), targets

    def _mean(self, rows: Rows) -> float:
        total, labelled = 0.0, 0.0
        for piece in self._pieces(rows):
            targets = self._targets(piece)
            with torch.inference_mode():
                loss = self._trained.proxies.loss(self._trained.average(self._inputs(piece)), targets).item()
            count = targets.sum().item()
            total, labelled = total + loss * count, labelled + count
        return total / max(labelled, 1)

    def _precision(self) -> float:
        """precision@5 of the pictures that validate, among those to train on."""
        both = (self._material.validation, self._gallery)
        asking, gallery = (self._through(self._trained.average, rows) for rows in both)
        wanted, labels = map(self._targets, both)
        return neighbours.precision(asking, wanted, gallery, labels)

    @torch.inference_mode()
    def _through(self, make: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
        return torch.cat([make(self._inputs(piece)) for piece in self._pieces(rows)])

    def _pieces(self, rows: Rows) -> list[Rows]:
        size = self._recipe.batch_size
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _inputs(self, rows: Rows) -> Tensor:
        inputs = torch.from_numpy(self._material.pictures[rows]).to(self._device).float() / 255
        return inputs.contiguous(memory_format=torch.channels_last)

    def _targets(self, rows: Rows) -> Tensor:
        return torch.from_numpy(self._material.targets[rows]).to(self._device)

    def _batches_of_an_epoch(self) -> int:
        return max(1, len(self._material.train) // self._recipe.batch_size)

    def _tell(self, progress: Progress, record: Record, step: int) -> None:
        detail: dict[str, Any] | None = None
        if step == record.epoch * self._batches_of_an_epoch():
            detail = {"history": list(record.history)}
        progress.update(step, self._steps, f"epoch {min(record.epoch + 1, self._recipe.epochs)}", detail)


def _often(targets: FloatArray) -> npt.NDArray[np.float64]:
    """How often each of these pictures is drawn: those of rare labels more often, by the square root."""
    common = targets @ targets.sum(0)
    often = np.where(common > 0, common, common.max()).astype(np.float64) ** -0.5
    weights: npt.NDArray[np.float64] = often / often.sum()
    return weights
