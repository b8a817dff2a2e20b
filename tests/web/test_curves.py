"""The loss curve's geometry."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir_web import curves


def history(*losses: float) -> list[dict[str, float]]:
    """A training whose validation loss is that of training."""
    return [{"epoch": n, "train_loss": loss, "validation_loss": loss} for n, loss in enumerate(losses, start=1)]


def test_there_is_nothing_to_draw_before_the_first_epoch() -> None:
    assert curves.draw([]) is None
    assert curves.draw([{"epoch": 1, "train_loss": None, "validation_loss": math.nan}]) is None


def test_a_falling_loss_falls_on_the_drawing() -> None:
    drawn = curves.draw(history(1.0, 0.5, 0.25))
    assert drawn
    points = [tuple(map(float, point.split(","))) for point in drawn.train.split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # down is greater
    assert points[0][1] == drawn.top
    assert drawn.best == points[-1]
    assert drawn.best_epoch == 3


def test_the_axis_is_as_wide_as_the_training_will_be() -> None:
    drawn = curves.draw(history(1.0, 0.5), epochs=35)
    assert drawn
    assert drawn.x_ticks[-1].text == "35"
    assert drawn.ends[0] < (drawn.left + drawn.right) / 2


@settings(deadline=None)  # other tests may take the processor
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.none() | st.integers(1, 500))
def test_everything_lies_within_the_drawing(losses: list[float], epochs: int | None) -> None:
    drawn = curves.draw(history(*losses), epochs)
    assert drawn
    for point in drawn.train.split():
        x, y = map(float, point.split(","))
        assert drawn.left <= x <= drawn.right
        assert drawn.top - 0.1 <= y <= drawn.bottom
    assert 2 <= len(drawn.y_ticks) <= 7
    assert 2 <= len(drawn.x_ticks) <= 10
    assert drawn.y_ticks[0].text == "0"


@pytest.mark.parametrize("highest", [0.0, 1e-12, 0.2, 0.21, 1.0, 9.99, 1e9])
def test_ticks_are_round_and_few(highest: float) -> None:
    step = curves._nice_step(highest)
    assert highest <= 5.01 * step
    assert step > 0
