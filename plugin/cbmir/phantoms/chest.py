"""A chest radiograph, postero-anterior: what the beam meets on its way, added up, bone and all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbmir.phantoms.shapes import Canvas, Field, Pen, ball, blob, blur, clouds, ellipse, step

SIDES = (-1.0, 1.0)
"""The right lung, which is on the picture's left, and the left lung."""


@dataclass(frozen=True)
class Chest:
    """One person's build, in the units of the canvas.

    Attributes:
        width: half the width of the rib cage.
        top: where the apices of the lungs lie.
        base: height of the left dome of the diaphragm; the right one stands a little higher.
        heart: half the heart's width.
        slope: how steeply the ribs fall.
        seed: of everything finer.
        opacities: of the consolidations: x, y, radius, height; none in a clear chest.
    """

    width: float
    top: float
    base: float
    heart: float
    slope: float
    seed: int
    opacities: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(cls, rng: np.random.Generator, opaque: bool) -> Chest:
        """A person at random."""
        width = rng.uniform(0.56, 0.66)
        return cls(
            width=width,
            top=rng.uniform(-0.74, -0.67),
            base=rng.uniform(0.42, 0.6),
            heart=rng.uniform(0.19, 0.27),
            slope=rng.uniform(0.22, 0.42),
            seed=int(rng.integers(2**31)),
            opacities=_opacities(rng, width) if opaque else (),
        )

    def draw(self, canvas: Canvas) -> Field:
        """The density of every pixel, 0 for bare film to 1 for the spine behind the heart."""
        rng = np.random.default_rng(self.seed)
        lungs = self._lungs(canvas.warped(rng, 0.03))
        density = self._trunk(canvas) - 0.46 * lungs * (0.85 + 0.25 * canvas.y)
        density += self._mediastinum(canvas.warped(rng, 0.03))
        density += self._bones(canvas, lungs)
        density += lungs * (self._vessels(rng, canvas) + self._consolidation(rng, canvas))
        return 1 - np.exp(-2.3 * np.clip(density, 0, None) ** 1.5)

    def _trunk(self, canvas: Canvas) -> Field:
        across = np.abs(canvas.x) / (self.width * 1.38)
        down = np.clip((0.55 - canvas.y) / 1.28, 0, None)
        inside = 1 - (across**2.6 + down**4) ** (1 / 3)
        neck = step(0.17 + 0.6 * np.clip(canvas.y + 0.82, 0, 1) - np.abs(canvas.x), 0.1)
        body = np.maximum(step(inside, 0.05), neck * step(-0.4 - canvas.y, 0.2))
        trunk: Field = body * (0.38 + 0.22 * ball(inside) + 0.14 * step(canvas.y - self.base, 0.5))
        return trunk

    def _lungs(self, canvas: Canvas) -> Field:
        return np.maximum(*(self._lung(canvas, side) for side in SIDES))

    def _lung(self, canvas: Canvas, side: float) -> Field:
        x = canvas.x * side
        level = np.clip((canvas.y - self.top) / (self.base - self.top), 0, 1.2)
        outer = self.width * (0.42 + 0.58 * np.sqrt(np.clip(level * 1.7 - 0.35 * level**2, 0, 1)))
        inner = 0.075 + 0.045 * (1 - level) + (self.heart * 0.4 * level**2 if side > 0 else 0.05 * level)
        dome = self.base - (0.07 if side < 0 else 0) + 0.7 * np.square(x - 0.2) - 0.02
        apex = self.top + 1.1 * np.square(x - 0.26)
        walls = step(outer - x, 0.05) * step(x - inner, 0.06)
        return walls * step(dome - canvas.y, 0.03) * step(canvas.y - apex, 0.06)

    def _mediastinum(self, canvas: Canvas) -> Field:
        heart = ball(ellipse(canvas, (0.09, self.base - 0.17), (self.heart * 1.3, 0.34), -0.6))
        right = ball(ellipse(canvas, (-0.06, self.base - 0.14), (0.14, 0.25)))
        knob = ball(ellipse(canvas, (0.07, -0.28), (0.075, 0.11)))
        vena = ball(ellipse(canvas, (-0.07, -0.25), (0.06, 0.3)))
        above = step(self.base + 0.02 - canvas.y, 0.12)
        trachea = step(0.03 - np.abs(canvas.x + 0.01), 0.03) * step(-0.26 - canvas.y, 0.1)
        return 0.3 * np.maximum(heart, 0.8 * right) * above + 0.16 * np.maximum(knob, 0.7 * vena) - 0.07 * trachea

    def _bones(self, canvas: Canvas, lungs: Field) -> Field:
        rear, front, girdle = (Pen(canvas.shape) for _ in range(3))
        for side in SIDES:
            for number in range(10):
                _rib(rear, front, self, number, side)
            _girdle(girdle, self, side)
        inside = 0.35 + 0.65 * lungs
        ribs = blur(rear.result(), 1.2) + 0.55 * blur(front.result(), 1.5)
        spine = step(0.06 - np.abs(canvas.x), 0.03) * (0.75 + 0.25 * np.cos(canvas.y * 38) ** 2)
        bones: Field = 0.1 * ribs * inside + 0.09 * spine + 0.12 * blur(girdle.result(), 1.2)
        return bones

    def _vessels(self, rng: np.random.Generator, canvas: Canvas) -> Field:
        pen = Pen(canvas.shape)
        for side in SIDES:
            for _ in range(7):
                heading = rng.uniform(-1.3, 1.4)
                _branch(rng, pen, (side * 0.13, rng.uniform(-0.12, 0.08)), side, heading, 0.016, 3)
        hila = blob(canvas, (-0.15, 0.0), 0.055) + blob(canvas, (0.15, -0.05), 0.055)
        haze = clouds(rng, canvas.shape, 14, 3)
        return 0.115 * blur(pen.result(), 1.1) + 0.12 * hila + 0.08 * (haze - 0.5)

    def _consolidation(self, rng: np.random.Generator, canvas: Canvas) -> Field:
        if not self.opacities:
            return np.zeros(canvas.shape, np.float32)
        texture = 0.2 + 1.3 * clouds(rng, canvas.shape, 9, 4)
        bent = canvas.warped(rng, 0.1, 5)
        spots = sum(height * blob(bent, (x, y), radius) for x, y, radius, height in self.opacities)
        return 0.4 * np.tanh(texture * spots)


def _opacities(rng: np.random.Generator, width: float) -> tuple[tuple[float, float, float, float], ...]:
    side = rng.choice(SIDES)
    spots = []
    for _ in range(rng.integers(2, 5)):
        x, y = side * rng.uniform(0.4, 0.75) * width, rng.uniform(-0.25, 0.38)
        spots.append((float(x), float(y), float(rng.uniform(0.08, 0.16)), float(rng.uniform(0.9, 1.5))))
    return tuple(spots)


def _rib(rear: Pen, front: Pen, chest: Chest, number: int, side: float) -> None:
    """The back of a rib falls outwards from the spine; its front comes back, fainter, further down."""
    top = chest.top + 0.02 + number * (chest.base - chest.top + 0.1) / 9.5
    reach = chest.width * min(1.0, 0.5 + 0.17 * number) * 1.03
    across = np.linspace(0.05, reach, 14)
    part = across / reach
    level = top + chest.slope * (0.6 * across + 0.5 * part**2) - 0.07 * np.sin(np.pi * part)
    points = [(side * float(x), float(y)) for x, y in zip(across, level, strict=True)]
    rear.stroke(points, [0.019] * len(points), 0.9)
    if number < 7:
        back = [(side * float(x), float(level[-1] + 0.04 + 0.5 * (reach - x) ** 0.9)) for x in across[:4:-1]]
        front.stroke([points[-1], *back], [0.022] * (len(back) + 1), 0.9)


def _girdle(pen: Pen, chest: Chest, side: float) -> None:
    width = chest.width
    shoulder = (side * (width + 0.2), chest.top + 0.08)
    collar = [
        (side * x, chest.top + 0.1 - 0.12 * x + 0.035 * np.sin(9 * x)) for x in np.linspace(0.05, width + 0.1, 12)
    ]
    blade = [(side * (width + x), chest.top + y) for x, y in ((0.14, 0.1), (0.0, 0.25), (-0.06, 0.5), (0.02, 0.66))]
    pen.stroke([shoulder, (side * (width + 0.28), chest.top + 0.9)], [0.07, 0.05], 0.5)
    pen.stroke([shoulder, (shoulder[0], shoulder[1] + 0.04)], [0.085, 0.075], 0.65)
    pen.stroke(blade, [0.04, 0.02, 0.014, 0.014], 0.5)
    pen.stroke(collar, [0.03, 0.024, *[0.02] * 8, 0.024, 0.03], 1.0)


def _branch(
    rng: np.random.Generator,
    pen: Pen,
    start: tuple[float, float],
    side: float,
    heading: float,
    width: float,
    depth: int,
) -> None:
    """A pulmonary vessel that leaves the hilum and forks on its way out, thinner each time."""
    length = rng.uniform(0.09, 0.16)
    end = (start[0] + side * length * float(np.cos(heading)), start[1] + length * float(np.sin(heading)))
    pen.stroke([start, end], [width, width * 0.72], 0.3 + 30 * width)
    if depth:
        for turn in (rng.uniform(-0.5, -0.05), rng.uniform(0.05, 0.5)):
            _branch(rng, pen, end, side, heading + float(turn), width * 0.66, depth - 1)
