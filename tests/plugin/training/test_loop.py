from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbmir.encoders import weights
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.errors import DiskFull, JobCancelled, TrainingFailed, WeightsMismatch
from cbmir.progress import Silence
from cbmir.training import checkpoint
from cbmir.training.checkpoint import Record
from cbmir.training.gradients import workers
from cbmir.training.loop import Material, Recipe, Training

RECIPE = Recipe(epochs=3, batch_size=10, seed=4)  # 24 pictures: batches of 10, 10 and 4; pieces of 8 and 2


@pytest.fixture(scope="module")
def material() -> Material:
    """Thirty pictures of 16 x 16, each with one bright bar."""
    values = np.zeros((30, 1, 16, 16), np.uint8)
    for row in range(30):
        values[row, 0, :, row % 12 : row % 12 + 4] = 120 + 4 * row
    return Material(values, np.arange(24), np.arange(24, 30))


class Bench:
    """Makes trainings of an initialised network."""

    def __init__(self, pool: ThreadPoolExecutor, material: Material) -> None:
        self.pool = pool
        self.material = material

    def training(self, folder: Path, recipe: Recipe = RECIPE) -> Training:
        network = CnnAutoencoder(16)
        network.initialise(recipe.seed)
        return Training(network, self.material, recipe, folder, self.pool)


@pytest.fixture(scope="module")
def bench(material: Material) -> Iterator[Bench]:
    with workers(2) as pool:
        yield Bench(pool, material)


def outcome(record: Record) -> tuple[bytes, list[tuple[float, float]]]:
    losses = [(row["train_loss"], row["validation_loss"]) for row in record.history]
    return weights.to_bytes(record.best), losses


class Watch(Silence):
    """Keeps what it is told, and stops the training once `done` is reached."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.told: list[tuple[int, int]] = []
        self.histories: list[list[dict[str, Any]]] = []

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        assert message
        self.told.append((done, total))
        if detail is not None:
            self.histories.append(detail["history"])
        if done == self.stop_at:
            raise JobCancelled("enough")


def run_until_cancelled(it: Training, at: int) -> None:
    with pytest.raises(JobCancelled):
        it.run(Watch(stop_at=at))


def test_the_loss_falls(bench: Bench, tmp_path: Path) -> None:
    record = bench.training(tmp_path, Recipe(epochs=8, batch_size=4)).run(Silence())
    losses = [row["validation_loss"] for row in record.history]
    assert losses[-1] < losses[0] / 2
    assert record.best_epoch == 1 + int(np.argmin(losses))


def test_the_best_epoch_is_kept_not_the_last(bench: Bench, tmp_path: Path) -> None:
    wild = Recipe(epochs=6, batch_size=24, learning_rate=0.02)  # a rate at which the loss goes up and down
    it = bench.training(tmp_path, wild)
    record = it.run(Silence())
    losses = [row["validation_loss"] for row in record.history]
    assert record.best_epoch != len(losses)
    assert it.loss(record.best, bench.material.validation) == losses[record.best_epoch - 1] == min(losses)


def test_the_same_seed_gives_the_same_bits(bench: Bench, tmp_path: Path) -> None:
    first = bench.training(tmp_path / "a").run(Silence())
    second = bench.training(tmp_path / "b").run(Silence())
    assert outcome(first) == outcome(second)


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_training_that_was_cut_off_ends_with_the_same_bits(bench: Bench, tmp_path: Path, at: int) -> None:
    whole = bench.training(tmp_path / "whole").run(Silence())
    run_until_cancelled(bench.training(tmp_path / "cut"), at)
    resumed = bench.training(tmp_path / "cut").run(Silence())
    assert outcome(resumed) == outcome(whole)


def test_finished_epochs_are_not_trained_again(bench: Bench, tmp_path: Path) -> None:
    run_until_cancelled(bench.training(tmp_path), 7)
    watch = Watch()
    bench.training(tmp_path).run(watch)
    assert watch.told[0] == (6, 9)


def test_progress_tells_batches_and_history(bench: Bench, tmp_path: Path) -> None:
    watch = Watch()
    record = bench.training(tmp_path).run(watch)
    assert watch.told[0] == (0, 9)
    assert watch.told[-1] == (9, 9)
    assert {done for done, _ in watch.told} == set(range(10))
    assert [len(history) for history in watch.histories] == [0, 1, 2, 3]
    assert watch.histories[-1] == record.history
    assert set(record.history[0]) == {"epoch", "train_loss", "validation_loss", "learning_rate", "seconds"}


def test_the_rate_decays_by_the_step() -> None:
    recipe = Recipe()
    assert recipe.rate(0) == 1e-3
    assert recipe.rate(50_000) == pytest.approx(1e-3 / (1 + 2e-5 * 50_000)) == pytest.approx(5e-4)


def test_a_loss_that_is_no_number_keeps_the_last_good_state(bench: Bench, tmp_path: Path) -> None:
    bench.training(tmp_path, Recipe(epochs=1, batch_size=10)).run(Silence())
    good = (tmp_path / checkpoint.FILE).read_bytes()
    with pytest.raises(TrainingFailed, match="epoch 2"):
        bench.training(tmp_path, Recipe(epochs=2, batch_size=10, learning_rate=1e38)).run(Silence())
    assert (tmp_path / checkpoint.FILE).read_bytes() == good


def test_a_full_disk_keeps_the_last_checkpoint(bench: Bench, tmp_path: Path) -> None:
    bench.training(tmp_path, Recipe(epochs=1, batch_size=10)).run(Silence())
    good = (tmp_path / checkpoint.FILE).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, hard))  # the kernel refuses to write beyond
    try:
        with pytest.raises(DiskFull, match="checkpoint"):
            bench.training(tmp_path, Recipe(epochs=2, batch_size=10)).run(Silence())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / checkpoint.FILE).read_bytes() == good


def test_a_damaged_checkpoint_is_named(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(WeightsMismatch, match=r"checkpoint\.safetensors"):
        bench.training(tmp_path).run(Silence())
