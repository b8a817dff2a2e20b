from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cbmir.encoders.base import Preprocessing
from cbmir.errors import WeightsMismatch


def test_each_output_pixel_is_the_mean_of_its_area() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32), dtype=np.uint8)
    means = pixels.reshape(16, 4, 16, 2).mean(axis=(1, 3))
    prepared = Preprocessing(16).apply(pixels)
    assert prepared.shape == (1, 16, 16)
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared[0] * 255, means, atol=1.01)  # rounded to grey values twice


def test_black_is_0_and_white_is_1() -> None:
    pixels = np.zeros((10, 7), np.uint8)
    assert Preprocessing(16).apply(pixels).max() == 0
    assert Preprocessing(16).apply(pixels + 255).min() == 1


def test_colours_become_luma_of_bt_601() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:] = (200, 100, 50)
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    np.testing.assert_allclose(Preprocessing(8).apply(pixels) * 255, luma, atol=1)


def test_three_channels_keep_their_colours() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:] = (200, 100, 50)
    prepared = Preprocessing(4, channels=3).apply(pixels)
    np.testing.assert_allclose(prepared[:, 0, 0] * 255, (200, 100, 50))


def test_grey_is_the_same_in_all_three_channels() -> None:
    grey = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9)
    values = Preprocessing(side=4, channels=3).resized(grey)
    as_colours = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(values, Preprocessing(side=4, channels=3).resized(as_colours))


def test_mean_and_std_are_taken_off_each_channel() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:] = (51, 102, 204)
    wanted = Preprocessing(4, 3, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 0.25))
    np.testing.assert_allclose(wanted.apply(pixels)[:, 1, 1], (0.2, 0.2, 2.0), rtol=1e-6)
    reversed_order = replace(wanted, order="BGR").apply(pixels)
    np.testing.assert_allclose(reversed_order[:, 1, 1], (1.4, 0.2, -0.4), rtol=1e-6)
    assert reversed_order.dtype == np.float32


def test_what_is_recorded_is_read_back() -> None:
    photographs = Preprocessing(224, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "BGR")
    assert Preprocessing.from_json(json.loads(json.dumps(photographs.as_json()))) == photographs
    recorded = json.loads(json.dumps(Preprocessing(128).as_json()))
    assert Preprocessing.from_json(recorded) == Preprocessing(128)
    assert Preprocessing.from_json({"side": 32}) == Preprocessing(32)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"side": "64"},
        {"side": 0},
        {"side": 64, "channels": 2},
        {"side": 64, "resize": "lanczos"},
        {"side": 64, "channels": 3, "mean": [0.5]},
        {"side": 64, "std": [0.0]},
        {"side": 64, "mean": [float("nan")]},
        {"side": 64, "mean": "none"},
        {"side": 64, "order": "GRB"},
    ],
)
def test_another_preprocessing_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(WeightsMismatch):
        Preprocessing.from_json(document)
