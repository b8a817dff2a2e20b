"""The axes over epochs, read from the figure itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cbmir.evaluation.reproduction.figures import Drawer

DRAWER = Drawer("cbmir reproduce", "0" * 64)


def history(epochs: int, accuracy: float = 0.9) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1.1 / epoch, "validation_accuracy": accuracy}
        for epoch in range(1, epochs + 1)
    ]


def axis_of_epochs(svg: bytes) -> list[str]:
    """What is written along it; SVG draws letters as shapes, and keeps the words as comments."""
    return axis(svg, 1)


def axis(svg: bytes, number: int) -> list[str]:
    _, _, after = svg.decode().partition(f'id="matplotlib.axis_{number}"')
    return re.findall(r"<!-- (.*?) -->", after.partition(f'id="matplotlib.axis_{number + 1}"')[0])


@pytest.mark.parametrize(("epochs", "ticks"), [(1, ["1"]), (2, ["1", "2"]), (5, ["1", "2", "3", "4", "5"])])
def test_epochs_are_whole_however_few(epochs: int, ticks: list[str]) -> None:
    for drawn in (DRAWER.loss(history(epochs)), DRAWER.accuracy(history(epochs), 20)):
        assert axis_of_epochs(drawn.svg) == [*ticks, "epoch"]


def test_no_accuracy_is_above_one() -> None:
    ticks = [each for each in axis(DRAWER.accuracy(history(2, accuracy=1.0), 20).svg, 2) if "accuracy" not in each]
    assert "1.00" in ticks
    assert max(float(each) for each in ticks if re.fullmatch(r"[0-9.]+", each)) == 1
