"""A training by labels learns, is repeatable, goes on where it was cut off, and says when it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cbmir.encoders.efficientnet_network import EfficientNetLite
from cbmir.errors import JobCancelled, TrainingFailed
from cbmir.progress import Progress, Silence
from cbmir.training.by_labels import LabelledMaterial, LabelRecipe, LabelTraining
from cbmir.training.checkpoint import FILE
from cbmir.training.proxies import Proxies

SIDE = 32
RECIPE = LabelRecipe(epochs=3, batch_size=8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of torch that wait for each other take ten times as long on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TARGETS = torch.eye(2)[torch.arange(40) % 2]


def material() -> LabelledMaterial:
    """Two labels: a bright spot above, or below."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 60, (40, 1, SIDE, SIDE), np.uint8)
    pictures[::2, :, 4:14, 8:24] += 150
    pictures[1::2, :, 18:28, 8:24] += 150
    rows = np.arange(40)
    return LabelledMaterial(pictures, TARGETS.numpy(), rows[:32], rows[32:])


def training(folder: Path, recipe: LabelRecipe = RECIPE) -> LabelTraining:
    torch.manual_seed(5)
    return LabelTraining(EfficientNetLite(), material(), recipe, folder, "cpu")


class Stopping:
    """Cancels in the second epoch."""

    def update(self, done: int, total: int, message: str = "", detail: object = None) -> None:
        if done == 6:
            raise JobCancelled("Stop.")


def test_it_learns(tmp_path: Path) -> None:
    record = training(tmp_path, LabelRecipe(epochs=6, batch_size=8)).run(Silence())
    losses = [row["train_loss"] for row in record.history]
    assert losses[-1] < losses[0]
    assert [row["epoch"] for row in record.history] == [1, 2, 3, 4, 5, 6]


def test_the_epoch_is_kept_after_which_most_neighbours_are_right(tmp_path: Path) -> None:
    it = training(tmp_path, LabelRecipe(epochs=4, batch_size=8))
    record = it.run(Silence())
    precisions = [row["validation_precision"] for row in record.history]
    assert record.best_epoch == max(epoch for epoch in range(1, 5) if precisions[epoch - 1] == max(precisions))
    it._trained.average.load_state_dict(record.best)
    assert it._precision() == max(precisions)


def test_cut_off_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    stopping: Progress = Stopping()
    with pytest.raises(JobCancelled):
        training(tmp_path / "cut").run(stopping)
    resumed = training(tmp_path / "cut").run(Silence())
    whole = training(tmp_path / "whole").run(Silence())
    assert [row["train_loss"] for row in resumed.history] == [row["train_loss"] for row in whole.history]
    assert all(torch.equal(resumed.best[name], whole.best[name]) for name in whole.best)


def test_a_loss_that_is_no_number_ends_it_and_the_last_epoch_stays(tmp_path: Path) -> None:
    training(tmp_path, LabelRecipe(epochs=1, batch_size=8)).run(Silence())
    kept = (tmp_path / FILE).read_bytes()
    broken = training(tmp_path, LabelRecipe(epochs=2, batch_size=8, learning_rate=float("inf")))
    with pytest.raises(TrainingFailed, match="no number any more in epoch 2"):
        broken.run(Silence())
    assert (tmp_path / FILE).read_bytes() == kept


def test_pictures_without_a_label_do_not_count() -> None:
    torch.manual_seed(0)
    proxies, features = Proxies(3, 4), torch.nn.functional.normalize(torch.rand(5, 4))
    targets = torch.eye(5)[:, :3]  # the last two have none
    assert torch.isclose(proxies.loss(features, targets), proxies.loss(features[:3], targets[:3]))
    assert proxies.loss(features, torch.zeros(5, 3)) == 0


def test_near_its_proxy_a_picture_costs_less() -> None:
    proxies = Proxies(2, 2)
    proxies.directions.data = torch.eye(2)
    near, far = (
        proxies.loss(torch.tensor([each]), torch.tensor([[1.0, 0.0]])) for each in ([1.0, 0.0], [0.0, 1.0])
    )
    assert near < far
