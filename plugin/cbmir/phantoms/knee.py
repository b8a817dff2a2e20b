"""A T1-weighted sagittal slice of a knee: fat and marrow are bright, muscle grey, tendon and cortex black."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbmir.phantoms.shapes import Canvas, Field, blur, clouds, ellipse, step

MARROW, FAT, MUSCLE, CARTILAGE, DARK = 0.72, 0.88, 0.32, 0.45, 0.06


@dataclass(frozen=True)
class Knee:
    """One person's knee.

    Attributes:
        size: of the bones, 1 on average.
        bend: of the joint, in radians.
        fat: thickness of the fat under the skin.
        seed: of everything finer.
    """

    size: float
    bend: float
    fat: float
    seed: int

    @classmethod
    def of(cls, rng: np.random.Generator) -> Knee:
        """A person at random."""
        return cls(
            size=rng.uniform(0.9, 1.1),
            bend=rng.uniform(-0.05, 0.22),
            fat=rng.uniform(0.05, 0.13),
            seed=int(rng.integers(2**31)),
        )

    def draw(self, canvas: Canvas, level: float) -> Field:
        """The signal of every pixel, 0 to 1.

        Args:
            canvas: of the slice; the patient looks to the left.
            level: -1 at the inner side of the knee, 1 at its outer side; the kneecap shows in the middle.
        """
        rng = np.random.default_rng(self.seed + round(50 * level))
        still = np.random.default_rng(self.seed)
        bent = canvas.warped(still, 0.03).warped(rng, 0.012)
        leg = step_leg(bent, 0.6)
        flesh = step_leg(bent, 0.6 - self.fat)
        fibres = clouds(rng, (canvas.shape[0], canvas.shape[1]), 22, 2)
        picture = FAT * step(leg, 0.02) * (0.85 + 0.2 * fibres)
        picture += step(flesh, 0.03) * (MUSCLE - 0.08 + 0.3 * np.square(fibres) - picture)
        self._hollows(bent, picture, level)
        for inside in self._bones(bent, level):
            _bone(picture, inside, clouds(rng, canvas.shape, 40, 2))
        return blur(picture.astype(np.float32), 0.9)

    def _hollows(self, canvas: Canvas, picture: Field, level: float) -> None:
        """Hoffa's fat before the joint, fat in the hollow behind it, the patellar and quadriceps tendons."""
        for centre, radii, tilt in (((-0.3, 0.1), (0.1, 0.18), -0.5), ((0.36, -0.05), (0.1, 0.33), 0.0)):
            fat = step(ellipse(canvas, centre, radii, tilt) * 0.1, 0.04)
            picture += fat * (FAT - 0.1 - picture)
        middle = float(np.exp(-((level / 0.5) ** 2)))
        front = -0.41 - 0.12 * np.abs(canvas.y)
        tendon = step(0.018 - np.abs(canvas.x - front), 0.02) * step(0.6 - np.abs(canvas.y + 0.1), 0.1)
        picture += middle * tendon * (DARK - picture)

    def _bones(self, canvas: Canvas, level: float) -> list[Field]:
        size, swing = self.size, self.bend
        lobe = 0.03 * level
        femur = np.maximum(
            ellipse(canvas, (0.02 + lobe, -0.17), (0.27 * size, 0.22 * size)) * 0.24,
            _shaft(canvas, (-0.02, -0.2), (-0.02 - np.sin(swing), -1.3), 0.15 * size),
        )
        tibia = np.maximum(
            ellipse(canvas, (0.03, 0.2), (0.25 * size, 0.13)) * 0.16,
            _shaft(canvas, (0.0, 0.2), (0.03 - np.sin(swing), 1.3), 0.13 * size),
        )
        tibia = np.minimum(tibia, canvas.y - 0.105 + 0.15 * np.square(canvas.x))
        bones = [femur, tibia]
        if abs(level) < 0.6:
            bones.append(ellipse(canvas, (-0.39, -0.2), (0.075, 0.13 * size), 0.12) * 0.09)
        return bones


def step_leg(canvas: Canvas, width: float) -> Field:
    """How far inside the leg's outline a pixel lies: thigh and calf, narrow at the joint."""
    return width - 0.05 * np.cos(3.2 * canvas.y) - np.abs(canvas.x + 0.02 - 0.06 * canvas.y)


def _shaft(canvas: Canvas, start: tuple[float, float], end: tuple[float, float], radius: float) -> Field:
    part = np.clip((canvas.y - start[1]) / (end[1] - start[1]), 0, 1)
    flare = radius * (0.8 + 0.55 * np.exp(-part * 9))
    inside = flare - np.abs(canvas.x - start[0] - part * (end[0] - start[0]))
    return np.where((canvas.y - start[1]) * (end[1] - start[1]) >= 0, inside, -1).astype(np.float32)


def _bone(picture: Field, inside: Field, grain: Field) -> None:
    """Marrow within a black line of cortex, and a film of cartilage around."""
    picture += step(inside + 0.035, 0.015) * (CARTILAGE - picture)
    picture += step(inside, 0.01) * (DARK - picture)
    picture += step(inside - 0.022, 0.012) * (MARROW * (0.88 + 0.22 * grain) - picture)
