"""Spectrograms: where a sine wave is bright, and how bright."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from cbmir.dicom import waveforms
from cbmir.dicom.signals import Signals, read_signals
from cbmir.dicom.spectrogram import CEILING, FLOOR, HIGHEST, PAGE_SECONDS, draw
from cbmir.types import FloatArray

SIDE = 256


def sine(hertz: float, microvolts: float, seconds: float = PAGE_SECONDS, rate: float = 256) -> FloatArray:
    """(time, 1)."""
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(microvolts * np.sin(2 * np.pi * hertz * time), np.float32)[:, None]


def drawn(samples: FloatArray, rate: float = 256, electrical: bool = True, **more: float) -> FloatArray:
    picture = draw(Signals(samples, rate, electrical), side=SIDE, **more)
    assert picture.shape == (SIDE, SIDE)
    assert picture.dtype == np.float32
    assert 0 <= picture.min() <= picture.max() <= 1
    return picture


def hertz_of(row: npt.NDArray[np.intp] | np.intp, rows: int, highest: float = HIGHEST) -> float:
    """The middle of a row of a strip."""
    return float((rows - 1 - row + 0.5) * highest / rows)


def test_the_page_is_that_of_the_traces() -> None:
    assert PAGE_SECONDS == waveforms.PAGE_SECONDS


@pytest.mark.parametrize("hertz", [2, 6.5, 10, 21.3, 38])
def test_a_sine_wave_is_bright_at_its_frequency(hertz: float) -> None:
    picture = drawn(sine(hertz, 50))
    brightest = picture.argmax(axis=0)
    assert abs(hertz_of(np.median(brightest).astype(np.intp), SIDE) - hertz) <= 0.6
    away = abs(np.array([hertz_of(row, SIDE) for row in np.arange(SIDE)]) - hertz) > 3
    assert picture[away].max() < 0.3


@pytest.mark.parametrize("microvolts", [2, 10, 50, 200])
def test_the_amplitude_gives_the_grey(microvolts: float) -> None:
    expected = (20 * np.log10(microvolts) - FLOOR) / (CEILING - FLOOR)
    np.testing.assert_allclose(drawn(sine(10, microvolts)).max(axis=0), expected, atol=0.01)


def test_what_lies_beyond_the_scale_is_black_or_white() -> None:
    assert drawn(sine(10, 0.2)).max() == 0
    assert drawn(sine(10, 1000)).max() == 1


def test_a_rate_that_must_be_averaged_down_gives_the_same_picture() -> None:
    slow, fast = (drawn(sine(10, 50, rate=rate), rate) for rate in (500, 20_000))
    np.testing.assert_allclose(slow, fast, atol=0.03)


def test_averaging_down_keeps_what_is_above_the_picture_out_of_it() -> None:
    picture = drawn(sine(20_000 / 31 - 10, 100, rate=20_000), 20_000)
    assert picture.max() < (20 * np.log10(100 / 10) - FLOOR) / (CEILING - FLOOR)


def test_each_channel_has_its_strip() -> None:
    samples = np.hstack([sine(5, 50), np.zeros((2560, 1), np.float32), sine(30, 50)])
    picture = drawn(samples)
    edges = [0, 85, 171, 256]
    assert abs(hertz_of(picture[: edges[1], 99].argmax(), 85) - 5) <= 0.8
    assert not picture[edges[1] : edges[2]].any()
    assert abs(hertz_of(picture[edges[2] :, 99].argmax(), 85) - 30) <= 0.8


@pytest.mark.parametrize("channels", [40, 128, 300])
def test_a_narrow_peak_is_not_lost_between_few_rows(channels: int) -> None:
    samples = np.repeat(sine(10, 100), channels, axis=1)
    strips = drawn(samples)
    assert (strips.max(axis=1) > 0.75).sum() >= min(channels, SIDE // 2)


def test_a_short_recording_leaves_the_right_empty() -> None:
    picture = drawn(sine(10, 50, seconds=PAGE_SECONDS / 2))
    columns = picture.max(axis=0) > 0
    assert columns[: SIDE // 2].all()
    assert not columns[SIDE // 2 :].any()


def test_time_runs_from_left_to_right() -> None:
    samples = sine(10, 50)
    samples[1280:] = sine(30, 50)[1280:]
    picture = drawn(samples)
    found = [hertz_of(picture[:, column].argmax(), SIDE) for column in (SIDE // 4, 3 * SIDE // 4)]
    np.testing.assert_allclose(found, [10, 30], atol=0.6)


def test_a_gap_is_silent() -> None:
    samples = sine(10, 50)
    samples[1024:1536] = np.nan
    picture = drawn(samples)
    assert not picture[:, SIDE // 2 - 10 : SIDE // 2 + 10].any()
    assert picture[:, SIDE // 4].max() > 0.6


@pytest.mark.parametrize("value", [np.nan, 0, 1e6, np.inf])
def test_a_channel_without_a_rhythm_is_black(value: float) -> None:
    assert not drawn(np.full((2560, 2), value, np.float32)).any()
    assert not drawn(np.full((2560, 2), value, np.float32), electrical=False).any()


def test_other_units_have_their_own_range() -> None:
    samples = np.hstack([sine(10, 0.003), sine(10, 3000)])
    picture = drawn(samples, electrical=False)
    assert picture[: SIDE // 2].max() == picture[SIDE // 2 :].max() == 1
    np.testing.assert_allclose(picture[: SIDE // 2], picture[SIDE // 2 :], atol=0.01)


def test_rows_above_half_the_rate_are_black() -> None:
    picture = drawn(np.random.default_rng(0).normal(0, 100, (200, 1)).astype(np.float32), 20)
    assert not picture[: SIDE * 3 // 4 - 1].any()
    assert picture[SIDE * 3 // 4 + 1 :].any()


def test_another_highest_frequency() -> None:
    picture = drawn(sine(80, 50, rate=500), 500, highest=100.0)
    assert abs(hertz_of(picture[:, 99].argmax(), SIDE, 100) - 80) <= 0.6


@settings(deadline=None, max_examples=50)
@given(
    rate=st.sampled_from([1e-308, 1e-9, 0.3, 1, 99.9, 1e4, 1e9, 1e300]),
    length=st.integers(1, 700),
    channels=st.integers(1, 5),
    scale=st.sampled_from([0, 1e-30, 1, 1e38]),
    electrical=st.booleans(),
)
def test_any_recording_gives_a_picture(
    rate: float, length: int, channels: int, scale: float, electrical: bool
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (length, channels)) * scale
    drawn(noise.astype(np.float32), rate, electrical)


def test_a_real_ecg() -> None:
    dataset = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm"))
    picture = drawn(read_signals(dataset, "ecg").samples[:10_000], 1000)
    assert 0.1 < picture.mean() < 0.8
