"""The axis of epochs, read from the figure itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cbmir.evaluation.reproduction.figures import Drawer

DRAWER = Drawer("cbmir reproduce", "0" * 64)


def history(epochs: int) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1.1 / epoch, "validation_accuracy": 0.9}
        for epoch in range(1, epochs + 1)
    ]


def axis_of_epochs(svg: bytes) -> list[str]:
    """What is written along it; SVG draws letters as shapes, and keeps the words as comments."""
    _, _, after = svg.decode().partition('id="matplotlib.axis_1"')
    return re.findall(r"<!-- (.*?) -->", after.partition('id="matplotlib.axis_2"')[0])


@pytest.mark.parametrize(("epochs", "ticks"), [(1, ["1"]), (2, ["1", "2"]), (5, ["1", "2", "3", "4", "5"])])
def test_epochs_are_whole_however_few(epochs: int, ticks: list[str]) -> None:
    for drawn in (DRAWER.loss(history(epochs)), DRAWER.accuracy(history(epochs), 20)):
        assert axis_of_epochs(drawn.svg) == [*ticks, "epoch"]
