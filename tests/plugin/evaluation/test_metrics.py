"""The metrics against numbers worked out by hand, and against loops that follow their definitions."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.evaluation import metrics
from cbmir.evaluation.definitions import DEFINITIONS
from cbmir.evaluation.labels import LabelSets
from cbmir.evaluation.metrics import METRICS, Rankings
from cbmir.evaluation.scores import Table
from cbmir.evaluation.summary import summarise
from cbmir.evaluation.whole import WHOLE

A, B, C = 0, 1, 2


def rankings(*rows: tuple[int, list[int], int], values: list[str] | None = None) -> Rankings:
    """From (wanted, retrieved, relevant) of each query."""
    wanted, retrieved, relevant = zip(*rows, strict=True)
    sets = LabelSets.of(values or ["ape", "bat", "cat"])
    whole = {name: np.zeros(len(wanted)) for name in WHOLE}
    return Rankings(np.array(wanted), np.array(retrieved), np.array(relevant), sets, whole)


def summary_of(given: Rankings, *ks: int) -> dict[str, Any]:
    return summarise(Table.of(given, ks, np.arange(len(given))), np.array([5, 4, 3])[: len(given.sets.names)])


SECOND, THIRD, FOURTH = 1 / math.log2(3), 1 / 2, 1 / math.log2(5)
BY_HAND = [
    # wanted, retrieved, relevant, k: accuracy, precision, recall, capped, average precision, ndcg
    ((A, [A, B, A, B, B], 3), 1, (1.0, 1.0, 1 / 3, 1.0, 1.0, 1.0)),
    ((A, [A, B, A, B, B], 3), 2, (1.0, 1 / 2, 1 / 3, 1 / 2, 1 / 2, 1 / (1 + SECOND))),
    ((A, [A, B, A, B, B], 3), 4, (1.0, 1 / 2, 2 / 3, 2 / 3, (1 + 2 / 3) / 3, (1 + THIRD) / (1 + SECOND + THIRD))),
    ((A, [A, B, A, B, B], 3), 5, (0.0, 2 / 5, 2 / 3, 2 / 3, (1 + 2 / 3) / 3, (1 + THIRD) / (1 + SECOND + THIRD))),
    ((A, [B, A, C], 10), 3, (0.0, 1 / 3, 1 / 10, 1 / 3, (1 / 2) / 3, SECOND / (1 + SECOND + THIRD))),
    ((B, [C, B, B, C], 2), 4, (0.0, 1 / 2, 1.0, 1.0, (1 / 2 + 2 / 3) / 2, (SECOND + THIRD) / (1 + SECOND))),
    ((B, [B, C, C, B], 2), 4, (1.0, 1 / 2, 1.0, 1.0, (1 + 1 / 2) / 2, (1 + FOURTH) / (1 + SECOND))),
    ((C, [A, A], 5), 20, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
    ((A, [A, A], 2), 20, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize(("query", "k", "expected"), BY_HAND)
def test_by_hand(query: tuple[int, list[int], int], k: int, expected: tuple[float, ...]) -> None:
    measured = [float(metric(rankings(query), k)[0]) for metric in METRICS.values()]
    assert measured == pytest.approx(expected)


def naive(values: list[str], wanted: int, retrieved: list[int], relevant: int, k: int) -> dict[str, float]:
    sets = [value.split("|") for value in values]
    first, own = retrieved[:k], set(sets[wanted])
    counts = Counter(label for code in first for label in sets[code])
    winner = next(label for code in first for label in sorted(sets[code]) if counts[label] == max(counts.values()))
    found, sum_of_precisions, gain = 0, 0.0, 0.0
    for rank, code in enumerate(first, 1):
        if own & set(sets[code]):
            found += 1
            sum_of_precisions += found / rank
            gain += 1 / math.log2(rank + 1)
    return {
        "accuracy": float(winner in own),
        "precision": found / len(first),
        "recall": found / relevant,
        "recall_capped": found / min(relevant, k),
        "map": sum_of_precisions / min(relevant, k),
        "ndcg": gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(relevant, len(first)) + 1)),
    }


SINGLE = ["a", "b", "c", "d", "e"]
SEVERAL = ["a", "b|a", "c", "b|d", "d|c|a"]


@st.composite
def many_rankings(draw: st.DrawFn) -> tuple[list[str], Rankings]:
    labels, queries, length = draw(st.integers(1, 5)), draw(st.integers(1, 12)), draw(st.integers(1, 30))
    values = draw(st.sampled_from((SINGLE, SEVERAL)))[:labels]
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    retrieved, wanted = random.integers(0, labels, (queries, length)), random.integers(0, labels, queries)
    sets = LabelSets.of(values)
    found = sets.shared(wanted, retrieved).sum(axis=1)
    return values, Rankings(wanted, retrieved, np.maximum(1, found + random.integers(0, 9, queries)), sets, {})


@settings(deadline=None)
@given(many_rankings(), st.integers(1, 40))
def test_equals_the_definitions(given_rankings: tuple[list[str], Rankings], k: int) -> None:
    values, ranked = given_rankings
    rows = zip(ranked.wanted, ranked.retrieved.tolist(), ranked.relevant, strict=True)
    expected = [naive(values, int(wanted), retrieved, int(relevant), k) for wanted, retrieved, relevant in rows]
    for name, metric in METRICS.items():
        measured = metric(ranked, k)
        assert measured == pytest.approx([row[name] for row in expected])
        assert ((measured >= 0) & (measured <= 1 + 1e-12)).all()


def test_votes_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given_rankings = rankings((A, [A, B, B], 1), (B, [A, B, B], 1), (C, [C, B, A], 1))
    monkeypatch.setattr(metrics, "CELLS", 1)
    assert metrics.accuracy(given_rankings, 3).tolist() == [0, 1, 1]


def test_micro_weighs_queries_and_macro_weighs_labels() -> None:
    summary = summary_of(rankings((A, [A], 1), (A, [A], 1), (A, [A], 1), (B, [A], 4)), 1)
    assert summary["at"]["1"]["precision"] == pytest.approx(3 / 4)
    assert summary["macro"]["1"]["precision"] == pytest.approx(1 / 2)
    assert list(summary["per_class"]) == ["ape", "bat"]
    bat = summary["per_class"]["bat"]
    assert (bat["queries"], bat["gallery"], bat["at"]["1"]["accuracy"]) == (1, 4, 0.0)


def test_a_query_of_two_labels_counts_for_each() -> None:
    values = ["ape", "ape|bat", "bat"]
    summary = summary_of(rankings((0, [0], 1), (1, [2], 1), (2, [0], 1), values=values), 1)
    assert summary["at"]["1"]["precision"] == pytest.approx(2 / 3)
    assert {name: row["queries"] for name, row in summary["per_class"].items()} == {"ape": 2, "bat": 2}
    assert summary["per_class"]["ape"]["at"]["1"]["precision"] == 1
    assert summary["per_class"]["bat"]["at"]["1"]["precision"] == pytest.approx(1 / 2)
    assert summary["macro"]["1"]["precision"] == pytest.approx(3 / 4)


def test_a_label_without_queries_is_not_in_the_mean() -> None:
    summary = summary_of(rankings((A, [A, B], 1)), 1)
    assert list(summary["per_class"]) == ["ape"]
    assert summary["macro"] == summary["at"]


def test_every_number_is_defined() -> None:
    assert {*METRICS, *WHOLE} <= set(DEFINITIONS)
    assert list(METRICS) == ["accuracy", "precision", "recall", "recall_capped", "map", "ndcg"]
