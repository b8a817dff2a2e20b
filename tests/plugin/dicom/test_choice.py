"""Which frames are taken: by place, and by what they show."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cbmir.dicom.choice import BLOCK, CLOSE, LIMIT, SIDE, check_policy, chosen, representative, thumbnail
from cbmir.errors import BadRequest

Thumbnails = npt.NDArray[np.uint8]


def test_all_ignores_the_bound() -> None:
    assert chosen(100, "all", 4) == list(range(100))


def test_every_nth() -> None:
    assert chosen(10, "every:3", 64) == [0, 3, 6, 9]
    assert chosen(9, "every:3", 64) == [0, 3, 6]
    assert chosen(5, "every:1", 64) == [0, 1, 2, 3, 4]
    assert chosen(5, "every:99", 64) == [0]


def test_every_nth_within_the_bound() -> None:
    assert chosen(80, "every:10", 4) == [10, 30, 50, 70]


def test_spread_takes_the_middles_of_equal_stretches() -> None:
    assert chosen(3, "spread", 4) == [0, 1, 2]
    assert chosen(80, "spread", 4) == [10, 30, 50, 70]
    assert chosen(7, "spread", 1) == [3]


@pytest.mark.parametrize("policy", ["all", "every:2", "spread"])
def test_no_frames(policy: str) -> None:
    assert chosen(0, policy, 4) == []


@pytest.mark.parametrize("policy", ["all", "every:1", "spread"])
def test_a_hostile_count_gives_no_endless_list(policy: str) -> None:
    assert len(chosen(2**31 - 1, policy, 2**31)) == LIMIT


@given(
    count=st.integers(0, 3000),
    policy=st.sampled_from(["all", "spread"]) | st.integers(1, 4000).map("every:{}".format),
    most=st.integers(1, 100),
)
def test_any_choice_ascends_within_the_object(count: int, policy: str, most: int) -> None:
    found = chosen(count, policy, most)
    assert all(a < b for a, b in itertools.pairwise(found))
    assert set(found) <= set(range(count))
    assert bool(found) == bool(count)
    assert policy == "all" or len(found) <= most


@pytest.mark.parametrize(
    "policy", ["", "some", "every:0", "every:-1", "every:", "every:1.5", "ALL", "every:1\n", "x" * 99]
)
def test_what_is_no_policy(policy: str) -> None:
    with pytest.raises(BadRequest, match="There is no frame policy"):
        check_policy(policy)
    with pytest.raises(BadRequest):
        chosen(3, policy, 3)


@pytest.mark.parametrize("policy", ["all", "every:7", "every:07", "spread", "representative"])
def test_what_is_one(policy: str) -> None:
    check_policy(policy)


def test_representative_frames_must_be_seen() -> None:
    with pytest.raises(BadRequest, match="by their place alone"):
        chosen(3, "representative", 3)


def distances(thumbnails: Thumbnails, centres: list[int]) -> npt.NDArray[np.float64]:
    """(n, k): root mean square differences in grey levels, written out."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    return np.sqrt(((flat[:, None] - flat[centres]) ** 2).mean(axis=2))


stacks = st.integers(1, 7).flatmap(lambda n: arrays(np.uint8, (n, 2, 2)))


@given(thumbnails=stacks, most=st.integers(1, 4))
def test_at_most_twice_the_best_covering_radius(thumbnails: Thumbnails, most: int) -> None:
    found = representative(thumbnails, most)
    assert found == sorted(set(found))
    assert 1 <= len(found) <= most
    radius = distances(thumbnails, found).min(axis=1).max()
    choices = itertools.combinations(range(len(thumbnails)), min(most, len(thumbnails)))
    best = min(distances(thumbnails, list(each)).min(axis=1).max() for each in choices)
    assert radius <= max(2 * best, CLOSE) + 1e-3
    assert len(found) == min(most, len(thumbnails)) or radius <= CLOSE + 1e-3


@given(thumbnails=stacks, most=st.integers(1, 4))
def test_chosen_frames_do_not_look_alike(thumbnails: Thumbnails, most: int) -> None:
    found = representative(thumbnails, most)
    between = distances(thumbnails[found], list(range(len(found))))
    assert (between[~np.eye(len(found), dtype=bool)] > CLOSE - 1e-3).all()


def test_no_frames_to_see() -> None:
    assert representative(np.zeros((0, SIDE, SIDE), np.uint8), 4) == []


@pytest.mark.parametrize("count", [1, 2, 9, 2 * BLOCK + 5])
def test_identical_frames_give_the_middle_one(count: int) -> None:
    assert representative(np.full((count, SIDE, SIDE), 77, np.uint8), 8) == [count // 2]


def test_a_short_different_stretch_in_a_long_still_clip_is_found() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (20_000, SIDE, SIDE)).astype(np.uint8)
    clip = noise + np.uint8(100)
    clip[17_321:17_330, 4:8, 4:8] += 60
    found = representative(clip, 8)
    assert len(found) == 2
    assert 10_000 in found
    assert any(17_321 <= index < 17_330 for index in found)


def test_the_bound_holds_where_every_frame_differs() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (500, SIDE, SIDE)).astype(np.uint8)
    found = representative(clip, 12)
    assert len(found) == 12
    assert found == representative(clip.copy(), 12)


def test_a_thumbnail_is_an_average_over_areas() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 160)).astype(np.uint8)
    expected = pixels.reshape(SIDE, 4, SIDE, 10).mean(axis=(1, 3))
    assert np.abs(thumbnail(pixels) - expected).max() <= 1


def test_a_thumbnail_of_colour_and_of_a_single_pixel() -> None:
    red = np.zeros((30, 40, 3), np.uint8)
    red[..., 0] = 255
    assert thumbnail(red).shape == (SIDE, SIDE)
    assert (thumbnail(red) == 76).all()
    assert (thumbnail(np.full((1, 1), 9, np.uint8)) == 9).all()
