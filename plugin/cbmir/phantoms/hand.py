"""A radiograph of a hand, fingers up: nineteen tubular bones, eight pebbles, two forearm bones and the flesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbmir.phantoms.shapes import Canvas, Field, blur, clouds, ellipse, step, tube

Point = tuple[float, float]

WRIST = (0.0, 0.36)
FINGERS = (
    # angle from upright, distance of the metacarpal's foot from the wrist, its length, then the phalanges
    (-0.78, 0.13, (0.24, 0.19, 0.14)),
    (-0.22, 0.17, (0.37, 0.23, 0.14, 0.1)),
    (-0.04, 0.16, (0.37, 0.26, 0.17, 0.105)),
    (0.13, 0.16, (0.33, 0.24, 0.165, 0.105)),
    (0.32, 0.17, (0.3, 0.19, 0.115, 0.095)),
)
CARPALS = (
    (-0.11, 0.3),
    (-0.035, 0.27),
    (0.035, 0.275),
    (0.1, 0.3),
    (-0.1, 0.38),
    (-0.03, 0.37),
    (0.045, 0.38),
    (0.1, 0.38),
)


@dataclass(frozen=True)
class Hand:
    """One person's hand.

    Attributes:
        size: of the whole, 1 on average.
        spread: how far the fingers are apart, 1 on average.
        girth: thickness of the bones, 1 on average.
        mirrored: true for the other hand.
        seed: of everything finer.
    """

    size: float
    spread: float
    girth: float
    mirrored: bool
    seed: int

    @classmethod
    def of(cls, rng: np.random.Generator) -> Hand:
        """A person at random."""
        return cls(
            size=rng.uniform(0.92, 1.08),
            spread=rng.uniform(0.8, 1.35),
            girth=rng.uniform(0.85, 1.2),
            mirrored=bool(rng.integers(2)),
            seed=int(rng.integers(2**31)),
        )

    def draw(self, canvas: Canvas) -> Field:
        """The density of every pixel, 0 for bare film to about 1 for the densest cortex."""
        rng = np.random.default_rng(self.seed)
        flip = -1 if self.mirrored else 1
        canvas = Canvas(x=canvas.x * flip / self.size, y=(canvas.y - 0.08) / self.size).warped(rng, 0.012, 4)
        bone, flesh = np.zeros(canvas.shape, np.float32), np.full(canvas.shape, -1.0, np.float32)
        for start, end, radius in self._tubes(rng):
            along, distance = tube(canvas, start, end)
            shaft = radius * (0.62 + 0.38 * np.abs(2 * along - 1) ** 2.2)
            bone = np.maximum(bone, _shaft(distance, shaft))
            flesh = np.maximum(flesh, 1.9 * radius + 0.022 - distance)
        for centre in CARPALS:
            pebble = ellipse(canvas, _jitter(rng, centre), (rng.uniform(0.045, 0.056), rng.uniform(0.042, 0.052)))
            bone = np.maximum(bone, _shaft(0.05 * (1 - pebble), np.float32(0.05)))
        palm = 0.27 * ellipse(canvas, (0.01, 0.16), (0.25, 0.33), 0.1)
        flesh = blur(np.maximum(flesh, palm), 4)
        trabeculae = 0.88 + 0.24 * clouds(rng, canvas.shape, 60, 2)
        density: Field = step(flesh, 0.03) * (0.2 + 1.1 * np.clip(flesh, 0, 0.14)) + 0.52 * bone * trabeculae
        return density

    def _tubes(self, rng: np.random.Generator) -> list[tuple[Point, Point, float]]:
        tubes = [((-0.07, 0.46), (-0.08, 1.15), 0.085 * self.girth), ((0.1, 0.48), (0.09, 1.15), 0.06 * self.girth)]
        for angle, foot, lengths in FINGERS:
            heading = angle * self.spread + rng.normal(0, 0.03)
            place = (WRIST[0] + foot * 1.1 * float(np.sin(heading * 1.3)), WRIST[1] - foot * float(np.cos(heading)))
            for joint, length in enumerate(lengths):
                tip = (place[0] + length * float(np.sin(heading)), place[1] - length * float(np.cos(heading)))
                tubes.append((place, tip, self.girth * (0.046 - 0.0058 * joint)))
                gap = 1 + 0.042 / length
                place = (place[0] + (tip[0] - place[0]) * gap, place[1] + (tip[1] - place[1]) * gap)
                heading += rng.normal(0, 0.02)
        return tubes


def _shaft(distance: Field, radius: Field | np.float32) -> Field:
    """A bone seen from the side: spongy within, a bright line of cortex along its edge."""
    inside = step(radius - distance, 0.008)
    cortex = np.exp(-np.square((distance - 0.82 * radius) / (0.16 * radius)))
    density: Field = (inside * (0.6 + 0.4 * cortex)).astype(np.float32)
    return density


def _jitter(rng: np.random.Generator, centre: Point) -> Point:
    return centre[0] + float(rng.normal(0, 0.006)), centre[1] + float(rng.normal(0, 0.006))
