"""EfficientNet-Lite0 learns what labels tell apart, from weights that are there already, and gives few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cbmir.encoders.device import device
from cbmir.encoders.efficientnet_network import EfficientNetLite
from cbmir.errors import TrainingFailed
from cbmir.evaluation.labels import LabelSets
from cbmir.progress import Progress
from cbmir.services.training.joining import joined
from cbmir.services.training.plan import Plan, Trained, Workshop
from cbmir.services.training.start import Start, find
from cbmir.training.by_labels import LabelledMaterial, LabelRecipe, LabelTraining
from cbmir.training.objectives import Rows
from cbmir.training.pictures import PreparedPictures
from cbmir.types import FloatArray, Part


def fit(plan: Plan, workshop: Workshop, prepared: PreparedPictures, progress: Progress) -> Trained:
    """Train it; see `cbmir.training.by_labels.LabelTraining.run` for what it raises besides.

    Raises:
        cbmir.errors.TrainingFailed: if the pictures to train on carry fewer than two labels.
        cbmir.errors.NotFound, cbmir.errors.WeightsMismatch: if the weights to start from are not here, or not fit.
    """
    rows, request = plan.rows(prepared), plan.request
    names, targets = _targets(plan, rows[Part.TRAIN])
    start = find(request.start, workshop.settings)
    network = EfficientNetLite()
    start.fill(network)
    recipe = LabelRecipe(request.epochs, request.batch_size, request.seed)
    material = LabelledMaterial(prepared.values, targets, rows[Part.TRAIN], rows[Part.VALIDATION])
    torch.set_num_threads(workshop.threads)
    training = LabelTraining(network, material, recipe, workshop.folder, device())
    record = training.run(progress)
    test_loss = training.loss(record.best, rows[Part.TEST])
    pictures = prepared.values[rows[Part.TRAIN]]
    record.best, views = joined(record.best, start.beside(), pictures, workshop.threads)
    how = _how(recipe, names, targets[rows[Part.TRAIN]], start) | views.how()
    return Trained(record, rows, len(prepared.unreadable), test_loss, len(record.best["reduce.bias"]), how)


def _targets(plan: Plan, train: Rows) -> tuple[list[str], FloatArray]:
    """The labels of the pictures to train on, and each picture's share of them; others count for nothing."""
    names = sorted({name for row in train for name in _names(plan.frames[row].label)})
    if len(names) < 2:
        carried = f"only the label {names[0]!r}" if names else "no label"
        raise TrainingFailed(
            f"The pictures to train on carry {carried}: there is nothing to tell apart.",
            "Ingest with a manifest that names labels, or train the encoder that needs none, cnn-autoencoder.",
        )
    places = {name: place for place, name in enumerate(names)}
    targets = np.zeros((len(plan.frames), len(names)), np.float32)
    for row, frame in enumerate(plan.frames):
        known = [places[name] for name in _names(frame.label) if name in places]
        targets[row, known] = 1 / max(1, len(known))
    return names, targets


def _names(label: str) -> list[str]:
    return LabelSets.of([label]).names if label else []


def _how(recipe: LabelRecipe, names: list[str], trained: FloatArray, start: Start) -> dict[str, Any]:
    return {
        "loss": "softmax over cosines to a proxy of each label",
        "mixing": recipe.mixing,
        "optimiser": {
            "name": "adamw",
            "learning_rate": recipe.learning_rate,
            "warm_up": recipe.warm_up,
            "weight_decay": recipe.weight_decay,
        },
        "start": start.name,
        "start_sha256": start.sha256,
        "labels": dict(zip(names, (trained > 0).sum(0).tolist(), strict=True)),
        "device": device(),
    }
