"""The paper's autoencoder: it learns to draw its input anew, and needs no label."""

from __future__ import annotations

from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.cnn_encoder import DIMENSION
from cbmir.progress import Progress
from cbmir.services.fitting.plan import Plan, Trained, Workshop
from cbmir.training.gradients import workers
from cbmir.training.loop import Material, Recipe, Training
from cbmir.training.pictures import PreparedPictures
from cbmir.types import Part


def fit(plan: Plan, workshop: Workshop, prepared: PreparedPictures, progress: Progress) -> Trained:
    """Train it; see `cbmir.training.loop.Training.run` for what it raises."""
    rows, request = plan.rows(prepared), plan.request
    network = CnnAutoencoder(request.side)
    network.initialise(request.seed)
    recipe = Recipe(request.epochs, request.batch_size, request.seed)
    material = Material(prepared.values, rows[Part.TRAIN], rows[Part.VALIDATION])
    with workers(workshop.threads) as pool:
        training = Training(network, material, recipe, workshop.folder, pool)
        record = training.run(progress)
        test_loss = training.loss(record.best, rows[Part.TEST])
    how = {
        "loss": "mean squared error",
        "optimiser": {"name": "adam", "learning_rate": recipe.learning_rate, "decay": recipe.decay},
    }
    return Trained(record, rows, len(prepared.unreadable), test_loss, DIMENSION, how)
