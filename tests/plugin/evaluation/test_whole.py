"""Metrics over the whole gallery, against loops that follow their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.evaluation import whole
from cbmir.evaluation.whole import WHOLE, ranks


def naive(hits: list[bool]) -> dict[str, float]:
    relevant = sum(hits)
    found, precisions, gain = 0, 0.0, 0.0
    for rank, hit in enumerate(hits, 1):
        if hit:
            found += 1
            precisions += found / rank
            gain += 1 / math.log2(rank + 1)
    return {
        "map_all": precisions / relevant,
        "r_precision": sum(hits[:relevant]) / relevant,
        "ndcg_all": gain / sum(1 / math.log2(rank + 1) for rank in range(1, relevant + 1)),
        "mrr": 1 / (hits.index(True) + 1),
    }


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.booleans()), min_size=1, max_size=40))
def test_equals_the_definitions(members: list[tuple[int, int, bool]]) -> None:
    members = [*members, (2, 2, True)]
    ordered = sorted(members, key=lambda member: math.hypot(member[0] - 1, member[1]))
    gallery, relevant = np.array([member[:2] for member in members], np.float32), [member[2] for member in members]
    places = ranks(np.array([1, 0], np.float32), gallery, np.array(relevant))
    hits = [member[2] for member in ordered]
    assert places.tolist() == [rank for rank, hit in enumerate(hits, 1) if hit]
    assert {name: metric(places) for name, metric in WHOLE.items()} == pytest.approx(naive(hits))


def test_all_relevant_first_is_one_everywhere() -> None:
    places = np.arange(1, 6)
    assert {metric(places) for metric in WHOLE.values()} == {1.0}


def test_distances_are_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, relevant = np.array([[3], [1], [2], [0]], np.float32), np.array([True, False, True, True])
    monkeypatch.setattr(whole, "AT_ONCE", 1)
    assert ranks(np.zeros(1, np.float32), gallery, relevant).tolist() == [1, 3, 4]
