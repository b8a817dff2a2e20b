"""Ids looked up among ids: as NumPy finds them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.index import lookup

dense = st.lists(st.integers(0, 60), unique=True, max_size=50)
sparse = st.lists(st.integers(-(2**40), 2**40), unique=True, max_size=50)


def expected(held: np.ndarray, wanted: np.ndarray) -> list[int]:
    where = {each: place for place, each in enumerate(held.tolist())}
    return [where.get(each, lookup.ABSENT) for each in wanted.tolist()]


@settings(deadline=None)
@given(held=dense | sparse, others=st.lists(st.integers(-5, 70), max_size=50), ascending=st.booleans())
def test_finds_what_is_there_and_nothing_else(held: list[int], others: list[int], ascending: bool) -> None:
    ids = np.array(sorted(held), np.int64)
    wanted = np.array(held[::2] + others, np.int64)
    wanted = np.sort(wanted) if ascending else wanted
    assert lookup.places(ids, wanted).tolist() == expected(ids, wanted)


def test_steps_over_wide_gaps() -> None:
    ids = np.array([1, 2, 3, 10**12, 10**12 + 1, 10**15], np.int64)
    wanted = np.array([0, 3, 4, 10**12 + 1, 10**15, 10**16], np.int64)
    assert lookup.places(ids, wanted).tolist() == [-1, 2, -1, 4, 5, -1]


@settings(deadline=None)
@given(held=dense | sparse, others=st.lists(st.integers(-5, 70), max_size=50), seed=st.integers(0, 2**32))
def test_a_table_tells_of_those_that_are_there(held: list[int], others: list[int], seed: int) -> None:
    ids = np.array(sorted(held), np.int64)
    values = np.random.default_rng(seed).permutation(len(ids))
    made = lookup.table(ids, values)
    assert (len(made) > 0) == (len(ids) > 0 and ids[-1] - ids[0] < lookup.SPREAD * len(ids))
    if len(made):
        wanted = np.array(held[::2] + others, np.int64)
        places = [place for place in expected(ids, wanted) if place != lookup.ABSENT]
        assert lookup.told(made, ids[0], wanted).tolist() == values[places].tolist()


@settings(deadline=None)
@given(held=dense, others=st.lists(st.integers(-5, 70), max_size=50), seed=st.integers(0, 2**32))
def test_a_mask_is_left_to_those_that_are_wanted(held: list[int], others: list[int], seed: int) -> None:
    ids = np.array(sorted(held), np.int64)
    values = np.random.default_rng(seed).permutation(len(ids))
    made = lookup.table(ids, values)
    if len(made):
        wanted, kept = np.union1d(ids[::2], np.array(others, np.int64)), np.ones(len(ids), np.bool_)
        assert lookup.keep_only(made, ids[0], wanted, kept) == np.isin(ids, wanted).sum()
        assert kept[values].tolist() == np.isin(ids, wanted).tolist()


def test_ids_at_the_ends_of_the_numbers_are_told_apart() -> None:
    lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    assert not len(lookup.table(np.array([lowest, highest]), np.array([0, 1])))
    made = lookup.table(np.array([highest - 1, highest]), np.array([1, 0]))
    assert lookup.told(made, highest - 1, np.array([lowest, 0, highest])).tolist() == [0]
    kept = np.ones(2, np.bool_)
    assert lookup.keep_only(made, highest - 1, np.array([lowest, 0, highest]), kept) == 1
    assert kept.tolist() == [True, False]
