"""A T2-weighted axial slice of a head: water bright, grey matter grey, white matter darker, bone and air black."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbmir.phantoms.shapes import Canvas, Field, blob, blur, clouds, ellipse, step

AIR, BONE, FAT, WHITE, GREY, WATER = 0.02, 0.05, 0.62, 0.3, 0.54, 0.95
SIDES = (-1.0, 1.0)


@dataclass(frozen=True)
class Brain:
    """One person's head.

    Attributes:
        width: half the width of the inside of the skull, as a part of half the picture.
        length: half its length.
        ventricles: their size, 1 on average.
        folds: how many folds from front to back.
        seed: of everything finer.
        lesion: x, y, height in the head and radius of a tumour; None in a healthy brain.
    """

    width: float
    length: float
    ventricles: float
    folds: int
    seed: int
    lesion: tuple[float, float, float, float] | None

    @classmethod
    def of(cls, rng: np.random.Generator, ill: bool) -> Brain:
        """A person at random."""
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.24, 0.4)
        lesion = (far * np.cos(angle), 1.2 * far * np.sin(angle), rng.uniform(0.1, 0.4), rng.uniform(0.14, 0.24))
        return cls(
            width=rng.uniform(0.6, 0.67),
            length=rng.uniform(0.75, 0.81),
            ventricles=rng.uniform(0.75, 1.35),
            folds=int(rng.integers(13, 18)),
            seed=int(rng.integers(2**31)),
            lesion=tuple(map(float, lesion)) if ill else None,  # type: ignore[arg-type]
        )

    def draw(self, canvas: Canvas, level: float) -> Field:
        """The signal of every pixel, 0 to 1.

        Args:
            canvas: of the slice.
            level: height of the slice in the head: 0 at the basal ganglia, 1 at the crown.
        """
        rng = np.random.default_rng(self.seed)
        bent = canvas.warped(rng, 0.025)
        size = float(np.sqrt(1 - 0.6 * level**2))
        inside = ellipse(bent, (0, 0), (self.width * size, self.length * size)) * self.width
        picture = self._shells(rng, canvas, inside)
        depth = inside - 0.02
        brain = self._matter(bent.warped(np.random.default_rng(self.seed + round(40 * level)), 0.05, 4), depth)
        self._cavities(bent, brain, level)
        if self.lesion is not None:
            brain = self._ill(rng, bent, brain, level)
        picture = np.where(depth > 0, brain, picture)
        return blur(picture.astype(np.float32), 0.8)

    def _shells(self, rng: np.random.Generator, canvas: Canvas, inside: Field) -> Field:
        """From outside: air, scalp, the skull's two tables with marrow between them, water."""
        thick = 0.075 + 0.03 * clouds(rng, canvas.shape, 4, 1)
        scalp = step(inside + thick + 0.05, 0.015)
        skull = step(inside + thick, 0.012)
        marrow = np.exp(-np.square((inside + thick * 0.55) / 0.012))
        picture = AIR + (FAT - AIR) * scalp * (0.75 + 0.4 * clouds(rng, canvas.shape, 20, 2))
        picture = picture * (1 - skull) + skull * (BONE + 0.2 * marrow)
        water = step(inside, 0.012)
        shells: Field = picture * (1 - water) + water * WATER
        return shells

    def _matter(self, canvas: Canvas, depth: Field) -> Field:
        """White matter within a folded ribbon of grey, water in the furrows."""
        rng = np.random.default_rng(self.seed + 1)
        rows, columns = canvas.shape
        field = clouds(rng, (rows, columns), self.folds, 2)
        crease = np.abs(_bend(field, canvas) - 0.5)
        cover = np.clip(1 - depth / 0.27, 0, 1)
        furrow = step(0.075 * cover - crease - 0.02, 0.03)
        ribbon = np.maximum(step(0.26 * cover - crease - 0.02, 0.06), step(0.05 - depth, 0.03))
        fissure = step(0.012 - np.abs(canvas.x), 0.015) * step(np.abs(canvas.y) - 0.3, 0.1)
        matter = WHITE + (GREY - WHITE) * ribbon + 0.03 * (field - 0.5)
        wet = np.clip(np.maximum(furrow, fissure), 0, 1)
        matter_: Field = matter * (1 - wet) + WATER * wet
        return matter_

    def _cavities(self, canvas: Canvas, brain: Field, level: float) -> None:
        """Basal ganglia and thalami, then the horns of the lateral ventricles, which part further up."""
        present = float(np.clip(1.15 - 1.9 * level, 0, 1))
        for side in SIDES:
            for centre, radii, tilt in (((0.17, -0.08), (0.06, 0.13), 0.35), ((0.09, 0.1), (0.07, 0.1), -0.4)):
                core = step(ellipse(canvas, (side * centre[0], centre[1]), radii, side * tilt) * 0.08, 0.03)
                brain += present * core * (GREY - 0.04 - brain)
            for centre, radii, tilt in (((0.07, -0.17), (0.032, 0.13), -0.3), ((0.12, 0.24), (0.04, 0.15), 0.35)):
                grown = (radii[0] * self.ventricles, radii[1] * (0.8 + 0.2 * self.ventricles))
                horn = step(
                    ellipse(canvas, (side * (centre[0] + 0.05 * level), centre[1]), grown, side * tilt) * 0.05,
                    0.015,
                )
                brain += present * horn * (WATER - brain)

    def _ill(self, rng: np.random.Generator, canvas: Canvas, brain: Field, level: float) -> Field:
        """A tumour with a bright rim and a mottled core, in a lake of oedema."""
        if self.lesion is None:
            return brain
        x, y, height, full = self.lesion
        radius = full * float(np.sqrt(np.clip(1 - ((level - height) / 0.55) ** 2, 0.15, 1)))
        bent = canvas.warped(rng, 0.06, 5)
        oedema = np.clip(1.5 * blob(bent, (x, y), radius * 1.1), 0, 1)
        brain = brain + oedema * 0.75 * (0.82 - brain)
        inside = ellipse(bent, (x, y), (radius, radius * 0.85)) * radius
        core = 0.42 + 0.5 * clouds(rng, canvas.shape, 16, 2)
        rim = np.exp(-np.square((inside - 0.01) / 0.014))
        mass = step(inside, 0.015)
        tissue: Field = brain * (1 - mass) + mass * core - 0.3 * rim * mass
        return tissue


def _bend(field: Field, canvas: Canvas) -> Field:
    """The field looked up at the canvas's bent coordinates, the nearest pixel of each."""
    rows, columns = field.shape
    half = rows / 2
    row = np.clip(np.rint(canvas.y * half + (rows - 1) / 2), 0, rows - 1).astype(int)
    column = np.clip(np.rint(canvas.x * half + (columns - 1) / 2), 0, columns - 1).astype(int)
    bent: Field = field[row, column]
    return bent
