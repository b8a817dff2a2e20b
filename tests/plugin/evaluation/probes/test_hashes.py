"""Difference hashes: a copy stays near, another picture does not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cbmir.evaluation.probes import hashes
from cbmir.evaluation.probes.hashes import NEAR, Looks, difference_hash, differing, look, near


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


def looks(*pictures: np.ndarray) -> Looks:
    return Looks.of({10 + place: found for place, picture in enumerate(pictures) if (found := look(picture))})


def pairs(queries: Looks, gallery: Looks) -> list[tuple[int, int]]:
    return [
        pair
        for rows, places, _ in near(queries, gallery)
        for pair in zip(rows.tolist(), places.tolist(), strict=True)
    ]


def test_bits_are_counted() -> None:
    random = np.random.default_rng(0)
    queries, gallery = random.integers(0, 2**64, 7, dtype=np.uint64), random.integers(0, 2**64, 50, dtype=np.uint64)
    expected = [[(query ^ other).bit_count() for other in gallery.tolist()] for query in queries.tolist()]
    assert differing(queries, gallery).tolist() == expected


def test_copies_are_found_and_the_rest_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    dimmed = (smooth(2) // 2 + 9).astype(np.uint8)
    queries, gallery = looks(smooth(1), smooth(2), smooth(3)), looks(smooth(4), dimmed, smooth(1, side=64))
    assert pairs(queries, gallery) == [(10, 12), (11, 11)]
    monkeypatch.setattr(hashes, "CELLS", 1024)
    assert pairs(queries, gallery) == [(10, 12), (11, 11)]
    assert pairs(looks(), gallery) == pairs(queries, looks()) == []


def test_a_near_hash_alone_is_only_a_candidate() -> None:
    rising = np.repeat(np.arange(0, 180, 20, dtype=np.uint8)[None], 8, axis=0)
    steep = np.repeat(np.array([0, 1, 2, 3, 4, 5, 6, 7, 250], np.uint8)[None], 8, axis=0)
    ((rows, places, candidates),) = near(looks(rising), looks(steep))
    assert (len(rows), len(places), candidates) == (0, 0, 1)
