"""The deletion test: is a map of what drives a similarity true? What it calls important is taken away first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

Masks = npt.NDArray[np.float32]
Far = Callable[[Masks], npt.NDArray[np.float64]]
"""How far the picture is from the other one without some of its cells: masks (n, rows, columns), 1 where a cell is
taken away, to distances (n,)."""

SHARES = 0.1, 0.2, 0.3, 0.4, 0.5
"""Of all cells: how much is taken away at each step."""

CLEARLY = 0.1
"""By how much more, in parts of the first distance, the map has to do than it does elsewhere."""

DRAWS = 4
"""Places by chance that the map is compared with."""


@dataclass(frozen=True)
class Deleted:
    """How the distance to the other picture grows, as a mean over `SHARES`, in parts of the first distance.

    Attributes:
        by_map: cells taken away in the order of the map, the strongest first.
        by_chance: in the order of the same map in other places, mirrored and moved by chance, the mean of `DRAWS`:
            parts as large and as connected, but not those that it names.
        by_map_reversed: the weakest first.
    """

    by_map: float
    by_chance: float
    by_map_reversed: float

    @property
    def holds(self) -> bool:
        """Whether what the map names clearly counts for more than other parts do."""
        return self.by_map > max(self.by_chance, 0.0) + CLEARLY

    @property
    def said(self) -> str:
        """The same in words, for whoever looks at the map."""
        named, others = (f"{1 + grown:.1f} times" for grown in (self.by_map, self.by_chance))
        covered = f"with what is orange covered first the two are {named} as far apart"
        found = f"{covered}, with as much covered elsewhere {others}."
        if self.holds:
            return f"Put to the test, this map holds: {found}"
        return f"Put to the test, this map does not hold: {found} Do not go by it."

    def as_json(self) -> dict[str, float | bool | str]:
        """The figures, `holds` and `said`."""
        return {**asdict(self), "holds": self.holds, "said": self.said}


def deletion(far: Far, drive: FloatArray, seed: int = 0) -> Deleted:
    """Take cells away in the order of a map, in that of the same map elsewhere, and in the reverse one.

    Args:
        far: tells the distance without them.
        drive: the map, float32 (cells, cells).
        seed: of the places by chance.
    """
    near = float(far(np.zeros((1, *drive.shape), np.float32))[0]) or 1.0

    def grown(order: FloatArray) -> float:
        return float(far(_taken(order)).mean()) / near - 1

    chance = [grown(moved) for moved in _elsewhere(drive, seed)]
    return Deleted(grown(drive), float(np.mean(chance)), grown(-drive))


def _taken(order: FloatArray) -> Masks:
    """A mask for each share: the cells of the highest values."""
    strongest = np.argsort(-order, axis=None, kind="stable")
    masks = np.zeros((len(SHARES), order.size), np.float32)
    for mask, share in zip(masks, SHARES, strict=True):
        mask[strongest[: round(share * order.size)]] = 1
    return masks.reshape(-1, *order.shape)


def _elsewhere(drive: FloatArray, seed: int) -> Iterator[FloatArray]:
    """The map in other places: moved round the borders by a sixth of a side or more, and mirrored or not."""
    chance, side = np.random.default_rng(seed), len(drive)
    for _ in range(DRAWS):
        moved = np.roll(drive, chance.integers(side // 6, side - side // 6 + 1, 2), (0, 1))
        across, down = chance.choice((-1, 1), 2)
        yield moved[::down, ::across]
