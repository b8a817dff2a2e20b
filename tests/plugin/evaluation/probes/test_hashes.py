"""Difference hashes: a copy stays near, another picture does not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cbmir.evaluation.probes import hashes
from cbmir.evaluation.probes.hashes import NEAR, difference_hash, differing, near


def smooth(seed: int, side: int = 90) -> np.ndarray:
    """A picture of a few large blots."""
    cells = np.random.default_rng(seed).integers(0, 255, (7, 7), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC))


def bits(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


def test_each_bit_tells_whether_the_next_cell_is_brighter() -> None:
    rising = np.tile(np.arange(0, 180, 20, dtype=np.uint8), (8, 1))
    assert difference_hash(rising) == 2**64 - 1
    assert difference_hash(rising[:, ::-1]) == 0
    rising[0, 0] = 255
    assert difference_hash(rising) == 2**63 - 1


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_is_near_and_another_picture_is_not(seed: int) -> None:
    picture = smooth(seed)
    smaller = np.asarray(Image.fromarray(picture).resize((63, 63), Image.Resampling.BOX))
    colour = np.repeat(picture[..., None], 3, axis=2)
    assert bits(difference_hash(picture), difference_hash(smaller)) <= NEAR
    assert difference_hash(colour) == difference_hash(picture)
    assert bits(difference_hash(picture), difference_hash(smooth(seed + 100))) > 10


def test_a_flat_picture_has_none() -> None:
    assert difference_hash(np.full((30, 20), 77, np.uint8)) is None
    assert difference_hash(smooth(1, side=1)) is None


def test_pairs_are_those_that_a_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    gallery = random.integers(0, 2**64, 50, dtype=np.uint64)
    queries = np.concatenate(
        [gallery[[3, 3, 8]] ^ np.array([0, 7, 3], np.uint64), random.integers(0, 2**64, 4, dtype=np.uint64)]
    )
    expected = [
        (row, place)
        for row, query in enumerate(queries.tolist())
        for place, other in enumerate(gallery.tolist())
        if (query ^ other).bit_count() <= NEAR
    ]
    assert expected == [(0, 3), (2, 8)]
    assert differing(queries, gallery)[1, 3] == 3
    assert list(zip(*(part.tolist() for part in near(queries, gallery)), strict=True)) == expected
    monkeypatch.setattr(hashes, "CELLS", 60)
    assert list(zip(*(part.tolist() for part in near(queries, gallery)), strict=True)) == expected
    assert (
        [len(part) for part in near(queries[:0], gallery)]
        == [len(part) for part in near(queries, gallery[:0])]
        == [0, 0]
    )
