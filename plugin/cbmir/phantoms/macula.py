"""Optical coherence tomography of the macula: the layers of the retina in a cross-section, with speckle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cbmir.phantoms.shapes import Canvas, Field, blur, clouds, ellipse, step

Finding = Literal["normal", "fluid", "drusen"]

LAYERS = (
    # lower edge as a part of the retina's thickness, reflectivity of what lies above that edge
    (0.10, 0.72),  # nerve fibres
    (0.26, 0.46),  # ganglion cells
    (0.38, 0.54),  # inner plexiform
    (0.49, 0.27),  # inner nuclear
    (0.56, 0.52),  # outer plexiform
    (0.84, 0.22),  # outer nuclear
    (0.87, 0.42),  # external limiting membrane
    (0.92, 0.26),
    (1.00, 0.86),  # ellipsoid zone
)
INNER = 0.56
"""The layers above this part of the thickness give way at the bottom of the foveal pit."""


@dataclass(frozen=True)
class Macula:
    """One person's macula; lengths in the units of the canvas.

    Attributes:
        thickness: of the retina away from the pit.
        pit: depth of the foveal pit, as a part of the thickness.
        slope: tilt of the section.
        bow: how much the eye's wall curves.
        side: +1 where the nerve fibres thicken to the right, -1 to the left.
        finding: what is wrong with it.
        seed: of everything finer.
    """

    thickness: float
    pit: float
    slope: float
    bow: float
    side: float
    finding: Finding
    seed: int

    @classmethod
    def of(cls, rng: np.random.Generator, finding: Finding) -> Macula:
        """A person at random."""
        return cls(
            thickness=rng.uniform(0.5, 0.62),
            pit=rng.uniform(0.36, 0.5),
            slope=rng.uniform(-0.1, 0.1),
            bow=rng.uniform(0.03, 0.12),
            side=float(rng.choice((-1.0, 1.0))),
            finding=finding,
            seed=int(rng.integers(2**31)),
        )

    def draw(self, canvas: Canvas, offset: float, rng: np.random.Generator) -> Field:
        """The brightness of every pixel, 0 to 1, as the device shows it (logarithmic).

        Args:
            canvas: of the section.
            offset: how far the section lies from the middle of the pit, -1 to 1.
            rng: of the speckle, which is another in each exposure.
        """
        across = canvas.x[:1]  # the layers' edges are curves over the columns: shape (1, columns)
        person = np.random.default_rng(self.seed)
        wall = 0.32 + self.slope * across + self.bow * np.square(across) + 0.03 * (_wave(person, across) - 0.5)
        swell, lift, bumps = self._disease(person, across, offset)
        pit = self.pit * np.exp(-np.square(offset / 0.7)) * np.exp(-np.square(across / 0.3))
        floor = wall - bumps - 0.02 - lift
        thickness = self.thickness * (1 - pit * (1 - 0.8 * swell)) * (1 + 0.35 * swell) - 0.6 * bumps
        signal = self._retina(canvas, floor, thickness, pit * (1 - swell))
        self._below(person, canvas, signal, wall, bumps, floor)
        if self.finding == "fluid":
            self._cysts(person, canvas, signal, floor - 0.5 * thickness)
        return _speckled(rng, signal)

    def _disease(self, rng: np.random.Generator, across: Field, offset: float) -> tuple[Field, Field, Field]:
        """Over the columns: swelling (0 to 1), lift by fluid under the retina, height of drusen."""
        none = np.zeros_like(across)
        fade = float(np.exp(-np.square(offset / 0.9)))
        if self.finding == "fluid":
            centre, width = rng.uniform(-0.25, 0.25), rng.uniform(0.3, 0.55)
            swell = np.exp(-np.square((across - centre) / (1.3 * width)))
            lift = rng.uniform(0.06, 0.16) * np.exp(-(np.square((across - centre) / width) ** 2))
            return swell * fade, lift * fade, none
        if self.finding == "drusen":
            places, heights = rng.uniform(-1.1, 1.1, 11), rng.uniform(0.03, 0.1, 11)
            widths = rng.uniform(0.05, 0.13, 11)
            mounds = (
                h * np.exp(-np.square((across - p) / w)) for p, h, w in zip(places, heights, widths, strict=True)
            )
            return none, none, sum(mounds, none) * (0.6 + 0.4 * fade)
        return none, none, none

    def _retina(self, canvas: Canvas, floor: Field, thickness: Field, pit: Field) -> Field:
        """The bands from the vitreous down to the ellipsoid zone, which ends at `floor`."""
        top = floor - thickness
        signal = np.full(canvas.shape, 0.07, np.float32)
        above = top
        fibres = 1 + 0.9 * self.side * canvas.x[:1]
        for edge, brightness in LAYERS:
            give = np.clip(1.75 * pit, 0, 0.9) * np.clip((INNER - edge) / INNER + 0.75, 0, 1) * (edge <= INNER)
            part = edge * (1 - give) * (np.clip(fibres, 0.2, 2) if edge == LAYERS[0][0] else 1)
            below = top + thickness * part
            band = step(canvas.y - above, 0.018) * step(below - canvas.y, 0.018)
            signal += band * (brightness - signal)
            above = below
        return signal

    def _below(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        signal: Field,
        wall: Field,
        bumps: Field,
        floor: Field,
    ) -> None:
        """Fluid or nothing, the pigment epithelium, what fills drusen, and the choroid with its vessels."""
        under = step(canvas.y - floor - 0.01, 0.015)
        signal += under * (0.1 - signal)
        mound = step(canvas.y - wall + bumps, 0.015) * step(wall - canvas.y, 0.015)
        signal += mound * (0.4 - signal)
        ridge = np.exp(-np.square((canvas.y - wall + bumps - 0.012) / 0.02))
        signal += np.clip(1.2 * ridge, 0, 1) * (0.97 - signal)
        depth = canvas.y - wall - 0.045
        vessels = clouds(rng, (canvas.shape[0], canvas.shape[1]), 13, 2)
        choroid = (0.68 - 0.36 * step(vessels - 0.52, 0.25)) * np.exp(-np.clip(depth, 0, None) / 0.28)
        signal += step(depth, 0.02) * (choroid - signal)

    def _cysts(self, rng: np.random.Generator, canvas: Canvas, signal: Field, middle: Field) -> None:
        for _ in range(rng.integers(4, 9)):
            x, radius = rng.uniform(-0.5, 0.5), rng.uniform(0.035, 0.1)
            y = float(np.interp(x, canvas.x[0], middle[0])) + rng.uniform(-0.08, 0.1)
            hole = step(ellipse(canvas, (x, y), (radius, radius * rng.uniform(0.6, 1.1))) * radius, 0.012)
            signal += hole * (0.06 - signal)


def _wave(rng: np.random.Generator, across: Field) -> Field:
    return clouds(rng, (1, across.shape[1]), 3, 2)


def _speckled(rng: np.random.Generator, signal: Field) -> Field:
    grain = rng.gamma(2.2, 1 / 2.2, signal.shape).astype(np.float32)
    noisy = signal * (0.35 + 0.65 * grain) + 0.03 * rng.random(signal.shape, np.float32)
    return np.clip(blur(noisy, 0.7), 0, 1)
