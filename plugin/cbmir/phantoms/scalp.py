"""An electroencephalogram: nineteen electrodes of the 10-20 system, awake at rest or not well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cbmir.phantoms.shapes import Field

State = Literal["rest", "spike_wave", "slow"]

RATE = 200
"""Samples a second."""

ELECTRODES = {
    # to the right, to the front, in parts of the head's radius
    "Fp1": (-0.31, 0.95), "Fp2": (0.31, 0.95), "F7": (-0.81, 0.59), "F3": (-0.55, 0.67), "Fz": (0, 0.72),
    "F4": (0.55, 0.67), "F8": (0.81, 0.59), "T3": (-1, 0), "C3": (-0.72, 0), "Cz": (0, 0), "C4": (0.72, 0),
    "T4": (1, 0), "T5": (-0.81, -0.59), "P3": (-0.55, -0.67), "Pz": (0, -0.72), "P4": (0.55, -0.67),
    "T6": (0.81, -0.59), "O1": (-0.31, -0.95), "O2": (0.31, -0.95),
}  # fmt: skip


@dataclass(frozen=True)
class Scalp:
    """One person's brain at work.

    Attributes:
        alpha: frequency of the posterior rhythm in hertz.
        power: of that rhythm, in microvolts.
        noise: of the background, in microvolts.
        side: the half of the head with the slow focus: -1 left, +1 right.
        state: what the recording shows.
    """

    alpha: float
    power: float
    noise: float
    side: float
    state: State

    @classmethod
    def of(cls, rng: np.random.Generator, state: State) -> Scalp:
        """A person at random."""
        return cls(
            alpha=rng.uniform(8.6, 11.4),
            power=rng.uniform(18, 36),
            noise=rng.uniform(6, 11),
            side=float(rng.choice((-1.0, 1.0))),
            state=state,
        )

    def record(self, rng: np.random.Generator, seconds: float) -> Field:
        """Potentials against the ears' mean.

        Returns:
            float32, shape (channels, samples), in microvolts; channels in the order of `ELECTRODES`.
        """
        count = round(seconds * RATE)
        time = np.arange(count) / RATE
        places = np.array(list(ELECTRODES.values()))
        signal = np.stack([self.noise * _pink(rng, count) for _ in places])
        rear = np.clip(0.45 - 0.6 * places[:, 1], 0.05, 1)
        signal += np.outer(rear, self.power * _rhythm(rng, time, self.alpha))
        signal += np.outer(np.clip(places[:, 1] - 0.4, 0, 1) * 1.7, _blinks(rng, time))
        if self.state == "spike_wave":
            signal += np.outer(0.6 + 0.4 * places[:, 1], _spikes_and_waves(rng, time))
        if self.state == "slow":
            near = np.exp(-np.square(places - (0.75 * self.side, 0.1)).sum(axis=1) / 0.9)
            signal += np.outer(0.25 + near, 55 * _rhythm(rng, time, rng.uniform(1.4, 2.4)))
        return signal.astype(np.float32)


def _pink(rng: np.random.Generator, count: int) -> Field:
    """Noise whose amplitude falls with the root of the frequency; standard deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    spectrum *= (frequencies > 0.4) / np.sqrt(np.maximum(frequencies, 0.5))
    noise = np.fft.irfft(spectrum, count)
    pink: Field = (noise / noise.std()).astype(np.float32)
    return pink


def _rhythm(rng: np.random.Generator, time: Field, frequency: float) -> Field:
    """A rhythm that waxes and wanes and never keeps quite the same pace."""
    pace = frequency * (1 + 0.04 * np.interp(time, np.linspace(0, time[-1], 9), rng.standard_normal(9)))
    strength = np.interp(time, np.linspace(0, time[-1], 8), rng.uniform(0.25, 1, 8))
    phase = 2 * np.pi * np.cumsum(pace) / RATE + rng.uniform(0, 2 * np.pi)
    return (strength * np.sin(phase)).astype(np.float32)


def _blinks(rng: np.random.Generator, time: Field) -> Field:
    moments = rng.uniform(0, time[-1], rng.integers(1, 4))
    return sum((95 * np.exp(-np.square((time - moment) / 0.09)) for moment in moments), np.zeros_like(time))


def _spikes_and_waves(rng: np.random.Generator, time: Field) -> Field:
    """A burst of generalised discharges, three a second: a sharp spike, then a broad wave the other way."""
    start = rng.uniform(0.2, 0.35) * time[-1]
    end = start + rng.uniform(0.3, 0.5) * time[-1]
    burst = 1 / (1 + np.exp(-(time - start) * 9)) / (1 + np.exp((time - end) * 9))
    phase = (time * rng.uniform(2.8, 3.3)) % 1
    spike = -150 * np.exp(-np.square((phase - 0.18) / 0.045))
    wave = 120 * np.sin(np.pi * np.clip((phase - 0.28) / 0.68, 0, 1))
    potential: Field = burst * (spike + wave)
    return potential
