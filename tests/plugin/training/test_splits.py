from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.errors import TrainingFailed
from cbmir.training import splits
from cbmir.types import Part

STRATA = st.sampled_from(["glioma", "normal", "drusen", ""])
GROUPS = st.dictionaries(st.text(max_size=5), STRATA, min_size=3, max_size=80)
PARTS = st.dictionaries(st.text(max_size=5), st.sampled_from(Part), max_size=40)


def test_a_groups_stratum_is_its_most_frequent_label() -> None:
    labelled = [("a", "x"), ("a", "y"), ("a", "y"), ("b", "z"), ("b", "x")]
    assert splits.strata(labelled) == {"a": "y", "b": "x"}


def test_eight_tenths_are_trained_on_in_every_stratum() -> None:
    groups = {f"{stratum}-{number}": stratum for stratum in "abc" for number in range(40)}
    parts = splits.assign(groups, seed=3)
    for stratum in "abc":
        counts = Counter(parts[group] for group in groups if groups[group] == stratum)
        assert counts == {Part.TRAIN: 32, Part.VALIDATION: 4, Part.TEST: 4}


@settings(max_examples=40, deadline=None)
@given(GROUPS, st.integers(0, 2**32))
def test_every_group_has_a_part_and_every_part_a_group(groups: dict[str, str], seed: int) -> None:
    parts = splits.assign(groups, seed)
    assert parts.keys() == groups.keys()
    counts = Counter(parts.values())
    assert set(counts) == set(Part)
    assert counts[Part.VALIDATION] == counts[Part.TEST] <= max(1, round(len(groups) / 10))


@settings(max_examples=40, deadline=None)
@given(GROUPS, st.integers(0, 2**32), st.randoms())
def test_the_split_depends_on_groups_and_seed_alone(groups: dict[str, str], seed: int, random: object) -> None:
    shuffled = list(groups.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert splits.assign(dict(shuffled), seed) == splits.assign(groups, seed)


def test_another_seed_gives_another_split() -> None:
    groups = {str(number): "a" for number in range(50)}
    assert splits.assign(groups, 1) != splits.assign(groups, 2)


def test_a_group_alone_in_its_stratum_is_trained_on() -> None:
    groups = {**{str(number): "a" for number in range(9)}, "alone": "b", "lonely": "c"}
    for seed in range(20):
        parts = splits.assign(groups, seed)
        assert parts["alone"] == parts["lonely"] == Part.TRAIN


def test_three_groups_are_enough_even_if_each_is_alone() -> None:
    assert set(splits.assign({"a": "1", "b": "2", "c": "3"}, 0).values()) == set(Part)


def test_two_groups_are_too_few() -> None:
    with pytest.raises(TrainingFailed, match="2 patients") as raised:
        splits.assign({"a": "x", "b": "x"}, 0)
    assert "Ingest" in raised.value.remedy


@settings(max_examples=60, deadline=None)
@given(GROUPS, PARTS, st.data(), st.integers(0, 2**32))
def test_a_group_that_has_a_part_keeps_it(
    groups: dict[str, str], others: dict[str, Part], data: st.DataObject, seed: int
) -> None:
    kept = data.draw(st.dictionaries(st.sampled_from(sorted(groups)), st.sampled_from(Part)))
    parts = splits.assign(groups, seed, {**others, **kept})
    assert parts.keys() == groups.keys()
    known = {group: part for group, part in {**others, **kept}.items() if group in groups}
    assert parts.items() >= known.items()
    new = Counter(part for group, part in parts.items() if group not in known)
    for part in (Part.VALIDATION, Part.TEST):
        assert new[part] <= max(1, round(new.total() / 10))
    if new:
        assert Part.TEST in parts.values(), (
            "one that is new is asked rather than trained on, where none else can be"
        )


def test_new_groups_are_split_among_themselves() -> None:
    old = splits.assign({f"{stratum}-{number}": stratum for stratum in "abc" for number in range(40)}, 0)
    grown = {f"{stratum}-{number}": stratum for stratum in "abc" for number in range(80)}
    parts = splits.assign(grown, 1, old)
    assert parts.items() >= old.items()
    for stratum in "abc":
        counts = Counter(parts[group] for group in grown if grown[group] == stratum)
        assert counts == {Part.TRAIN: 64, Part.VALIDATION: 8, Part.TEST: 8}
    assert splits.assign(grown, 2, old) != parts, "the seed is that of the new ones' split"


def test_a_few_new_groups_are_trained_on_where_others_are_held_out() -> None:
    old = splits.assign({f"a-{number}": "a" for number in range(20)}, 0)
    new = {"late": "a", "later": "a", "alone": "b"}
    parts = splits.assign({**dict.fromkeys(old, "a"), **new}, 1, old)
    assert {parts[group] for group in new} == {Part.TRAIN}


def test_the_split_of_a_seed_stays_from_version_to_version() -> None:
    """Encoders that are stored, and the one that is shipped, are known by it."""
    parts = splits.assign({f"{stratum}-{number}": stratum for stratum in "ab" for number in range(20)}, seed=0)
    assert {group for group, part in parts.items() if part is Part.VALIDATION} == {"a-16", "a-8", "b-16", "b-7"}
    assert {group for group, part in parts.items() if part is Part.TEST} == {"a-17", "a-6", "b-13", "b-15"}
