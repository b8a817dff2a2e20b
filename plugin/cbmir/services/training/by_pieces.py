"""Networks whose loss is a mean over single pictures: the paper's autoencoder, and its DCNN, which needs labels."""

from __future__ import annotations

from cbmir.encoders.device import PROCESSOR, device
from cbmir.progress import Progress
from cbmir.services.training.plan import Plan, Trained, Workshop
from cbmir.training.gradients import workers
from cbmir.training.loop import Material, Recipe, Training, no_judge
from cbmir.training.pictures import PreparedPictures
from cbmir.training.team import Alone
from cbmir.training.trainees import trainee
from cbmir.types import Part


def fit(plan: Plan, workshop: Workshop, prepared: PreparedPictures, progress: Progress) -> Trained:
    """Train it; see `cbmir.training.loop.Training.run` for what it raises besides.

    Raises:
        cbmir.errors.TrainingFailed: if it learns from labels and there is only one.
    """
    rows, request, kind = plan.rows(prepared), plan.request, trainee(plan.request.architecture)
    labels = [frame.label for frame in plan.frames]
    network, objective = kind.make(request, labels), kind.objective(labels)
    recipe = Recipe(request.epochs, request.batch_size, request.seed)
    material = Material(prepared.values, rows[Part.TRAIN], rows[Part.VALIDATION])
    judge = workshop.judge(plan.frames) if workshop.judge else no_judge
    team = workshop.team
    where = device() if isinstance(team, Alone) else PROCESSOR  # gloo gathers no card's sums
    with workers(workshop.threads if where == PROCESSOR else 1) as pool:  # a card is busy with one
        training = Training(network, material, recipe, workshop.folder, pool, objective, judge, team, where)
        record = training.run(progress)
        test_loss = training.loss(record.best, rows[Part.TEST])
    how = {
        "loss": kind.loss,
        "optimiser": {"name": "adam", "learning_rate": recipe.learning_rate, "decay": recipe.decay},
        "device": where,
    }
    return Trained(record, rows, len(prepared.unreadable), test_loss, kind.dimension, how)
