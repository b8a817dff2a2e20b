"""A waveform as its rhythms: the power of each frequency over time, channels below each other, bright on black."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cbmir.dicom.signals import Signals
from cbmir.types import FloatArray

PAGE_SECONDS = 10.0
"""Seconds from the left edge to the right, as of the traces in `cbmir.dicom.waveforms`."""

HIGHEST = 40.0
"""Hertz at the top of a channel's strip: an EEG's beta rhythm ends below; mains hum, at 50 or 60 Hz, lies above."""

WINDOW_SECONDS = 1.0
"""Of the signal that a column is computed from: tells frequencies 2 Hz apart."""

FLOOR, CEILING = -10.0, 50.0
"""Decibels that are black and white, of an amplitude of 1 uV: 0.3 uV, below an EEG's fast rhythms, and 316 uV."""

OVERSAMPLING = 16
"""Signals sampled faster than so many times the highest frequency are averaged down first, which bounds the work;
what folds back onto the frequencies shown is damped to a tenth, and these by less than 1 %."""

SLOWEST = 1e-9
"""Hertz between two frequencies: what claims to be slower has nothing in the picture."""

SILENCE = 1e-30
"""The amplitude, in any unit, that is nothing."""

Spectrum = npt.NDArray[np.float64]


def draw(
    signals: Signals, *, side: int, highest: float = HIGHEST, page_seconds: float = PAGE_SECONDS
) -> FloatArray:
    """Draw each channel's spectrogram into its own horizontal strip, frequency upwards from 0 to `highest`.

    A column shows the `WINDOW_SECONDS` around it (at either end the nearest that are whole), without the channel's
    median, under a Hann window. Where the channels are voltages, grey is (20 log10(a) - `FLOOR`) / (`CEILING` -
    `FLOOR`), a being the amplitude in microvolts of a sine wave of that power: so recordings are comparable. Other
    channels have the same range of decibels, below each one's own highest. A gap (NaN) is silent.

    Args:
        signals: the page, at most a few times `page_seconds`.
        side: rows and columns of the picture, at least 1.
        highest: Hz at the top of each strip, > 0.
        page_seconds: that the whole width stands for; a shorter recording leaves the right side empty, a longer one
            is squeezed.

    Returns:
        float32 (side, side) in [0, 1].
    """
    samples, frequency = signals.samples, signals.frequency
    canvas = np.zeros((side, side), np.float32)
    width = round(min(side, max(1.0, side * len(samples) / (page_seconds * frequency))))
    edges = [round(side * each / samples.shape[1]) for each in range(samples.shape[1] + 1)]
    for channel, (top, bottom) in enumerate(pairwise(edges)):
        if top < bottom:
            thinned, rate = _thinned(_centred(samples[:, channel]), frequency, OVERSAMPLING * highest)
            amplitudes, step = _amplitudes(thinned, rate, width)
            shown = _rows(amplitudes, step, highest, bottom - top)
            canvas[top:bottom, :width] = _grey(shown, signals.electrical)
    return canvas


def _centred(samples: FloatArray) -> Spectrum:
    """A channel around its median; gaps are 0."""
    known = np.isfinite(samples)
    median = np.median(samples[known]) if known.any() else 0.0
    return np.where(known, samples.astype(np.float64) - float(median), 0.0)


def _thinned(samples: Spectrum, frequency: float, enough: float) -> tuple[Spectrum, float]:
    """The signal at `enough` to twice as many samples a second, and how many; as it is where it has fewer."""
    factor = int(min(len(samples), max(1.0, frequency // enough)))
    whole = samples[: len(samples) // factor * factor]
    return whole.reshape(-1, factor).mean(axis=1), frequency / factor


def _amplitudes(samples: Spectrum, frequency: float, width: int) -> tuple[Spectrum, float]:
    """(frequencies, width): amplitudes of sine waves of each frequency's power; and the Hz between two of them."""
    length = int(min(len(samples), max(2.0, WINDOW_SECONDS * frequency)))
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    middles = (np.arange(width) + 0.5) * len(samples) / width
    starts = np.clip(np.rint(middles - length / 2).astype(np.intp), 0, len(samples) - length)
    windows = np.lib.stride_tricks.sliding_window_view(samples, length)[starts]
    return 2 * np.abs(np.fft.rfft(windows * window)).T / window.sum(), frequency / length


def _rows(amplitudes: Spectrum, step: float, highest: float, rows: int) -> Spectrum:
    """(rows, width), the highest frequency first: the strongest within each row; 0 above half the rate."""
    dense = 2 * max(1, int(np.ceil(min(len(amplitudes), highest / max(step, SLOWEST)) / rows)))
    at = (np.arange(rows * dense) + 0.5) * highest / (rows * dense) / max(step, SLOWEST)
    last = len(amplitudes) - 1
    below = np.minimum(at, last).astype(np.intp)
    part = np.minimum(at - below, 1)[:, None]
    between = amplitudes[below] * (1 - part) + amplitudes[np.minimum(below + 1, last)] * part
    values: Spectrum = np.where((at <= last)[:, None], between, 0.0)
    return np.asarray(values.reshape(rows, dense, -1).max(axis=1)[::-1])


def _grey(amplitudes: Spectrum, electrical: bool) -> FloatArray:
    """Decibels on the fixed scale, or below their own highest."""
    span = CEILING - FLOOR
    decibels = 20 * np.log10(np.maximum(amplitudes, SILENCE))
    ceiling = CEILING if electrical else max(float(decibels.max()), 20 * np.log10(SILENCE) + span)
    return np.clip(1 + (decibels - ceiling) / span, 0, 1).astype(np.float32)
