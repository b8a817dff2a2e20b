"""The metrics against numbers worked out by hand, and against loops that follow their definitions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.evaluation.metrics import DEFINITIONS, METRICS, Rankings
from cbmir.evaluation.summary import summarise

A, B, C = 0, 1, 2


def rankings(*rows: tuple[int, list[int], int]) -> Rankings:
    """From (wanted, retrieved, relevant) of each query."""
    wanted, retrieved, relevant = zip(*rows, strict=True)
    return Rankings(np.array(wanted), np.array(retrieved), np.array(relevant))


BY_HAND = [
    # wanted, retrieved, relevant, k: accuracy, precision, recall, capped, average precision
    ((A, [A, B, A, B, B], 3), 1, (1.0, 1.0, 1 / 3, 1.0, 1.0)),
    ((A, [A, B, A, B, B], 3), 2, (1.0, 1 / 2, 1 / 3, 1 / 2, 1 / 2)),
    ((A, [A, B, A, B, B], 3), 4, (1.0, 1 / 2, 2 / 3, 2 / 3, (1 + 2 / 3) / 3)),
    ((A, [A, B, A, B, B], 3), 5, (0.0, 2 / 5, 2 / 3, 2 / 3, (1 + 2 / 3) / 3)),
    ((A, [B, A, C], 10), 3, (0.0, 1 / 3, 1 / 10, 1 / 3, (1 / 2) / 3)),
    ((B, [C, B, B, C], 2), 4, (0.0, 1 / 2, 1.0, 1.0, (1 / 2 + 2 / 3) / 2)),
    ((B, [B, C, C, B], 2), 4, (1.0, 1 / 2, 1.0, 1.0, (1 + 1 / 2) / 2)),
    ((C, [A, A], 5), 20, (0.0, 0.0, 0.0, 0.0, 0.0)),
    ((A, [A, A], 2), 20, (1.0, 1.0, 1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize(("query", "k", "expected"), BY_HAND)
def test_by_hand(query: tuple[int, list[int], int], k: int, expected: tuple[float, ...]) -> None:
    measured = [float(metric(rankings(query), k)[0]) for metric in METRICS.values()]
    assert measured == pytest.approx(expected)


def naive(wanted: int, retrieved: list[int], relevant: int, k: int) -> dict[str, float]:
    first = retrieved[:k]
    counts = Counter(first)
    winner = next(label for label in first if counts[label] == max(counts.values()))
    found, sum_of_precisions = 0, 0.0
    for rank, label in enumerate(first, 1):
        if label == wanted:
            found += 1
            sum_of_precisions += found / rank
    return {
        "accuracy": float(winner == wanted),
        "precision": found / len(first),
        "recall": found / relevant,
        "recall_capped": found / min(relevant, k),
        "map": sum_of_precisions / min(relevant, k),
    }


@st.composite
def many_rankings(draw: st.DrawFn) -> Rankings:
    labels, queries, length = draw(st.integers(1, 5)), draw(st.integers(1, 12)), draw(st.integers(1, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    retrieved, wanted = random.integers(0, labels, (queries, length)), random.integers(0, labels, queries)
    found = (retrieved == wanted[:, np.newaxis]).sum(axis=1)
    return Rankings(wanted, retrieved, np.maximum(1, found + random.integers(0, 9, queries)))


@settings(deadline=None)
@given(many_rankings(), st.integers(1, 40))
def test_equals_the_definitions(given_rankings: Rankings, k: int) -> None:
    rows = zip(given_rankings.wanted, given_rankings.retrieved.tolist(), given_rankings.relevant, strict=True)
    expected = [naive(int(wanted), retrieved, int(relevant), k) for wanted, retrieved, relevant in rows]
    for name, metric in METRICS.items():
        measured = metric(given_rankings, k)
        assert measured == pytest.approx([row[name] for row in expected])
        assert ((measured >= 0) & (measured <= 1 + 1e-12)).all()


def test_micro_weighs_queries_and_macro_weighs_labels() -> None:
    summary = summarise(rankings((A, [A], 1), (A, [A], 1), (A, [A], 1), (B, [A], 4)), [1], ["ape", "bat"])
    assert summary["at"]["1"]["precision"] == pytest.approx(3 / 4)
    assert summary["macro"]["1"]["precision"] == pytest.approx(1 / 2)
    assert list(summary["per_class"]) == ["ape", "bat"]
    bat = summary["per_class"]["bat"]
    assert (bat["queries"], bat["gallery"], bat["at"]["1"]["accuracy"]) == (1, 4, 0.0)


def test_a_label_without_queries_is_not_in_the_mean() -> None:
    summary = summarise(rankings((A, [A, B], 1)), [1], ["ape", "bat", "cat"])
    assert list(summary["per_class"]) == ["ape"]
    assert summary["macro"] == summary["at"]


def test_what_was_really_retrieved_is_told() -> None:
    summary = summarise(rankings((A, [A, B, B], 1)), [1, 3, 20], ["ape", "bat"])
    assert summary["retrieved"] == {"1": 1, "3": 3, "20": 3}
    assert summary["at"]["20"]["precision"] == pytest.approx(1 / 3)


def test_every_number_is_defined() -> None:
    assert set(METRICS) <= set(DEFINITIONS)
    assert list(METRICS) == ["accuracy", "precision", "recall", "recall_capped", "map"]
