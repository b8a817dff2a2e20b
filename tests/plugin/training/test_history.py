"""Which epoch of a training is kept."""

from __future__ import annotations

from typing import Any

from cbmir.training import history


def rows(losses: list[float], precisions: list[float] | None = None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [{"validation_loss": loss} for loss in losses]
    for row, precision in zip(told, precisions or [], strict=False):
        row["validation_precision"] = precision
    return told


def test_before_the_first_there_is_none() -> None:
    assert history.best([]) == 0


def test_the_first_of_the_lowest_losses() -> None:
    assert history.best(rows([3.0, 1.0, 2.0, 1.0])) == 2


def test_the_last_of_the_highest_precisions_whatever_the_loss() -> None:
    assert history.best(rows([1.0, 2.0, 3.0, 4.0], [0.5, 0.8, 0.8, 0.7])) == 3
