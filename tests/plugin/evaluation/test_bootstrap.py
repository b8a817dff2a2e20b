"""Resamples of patients, against a loop that really copies their queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbmir.evaluation import bootstrap
from cbmir.evaluation.bootstrap import RESAMPLES, interval, resampled
from cbmir.evaluation.exchange import EXCHANGES
from cbmir.evaluation.intervals import difference, intervals
from cbmir.evaluation.scores import Table
from cbmir.evaluation.summary import breakdown, summarise, typical

COLUMNS = [("1", "precision"), ("", "mrr")]


def table(values: list[float], groups: list[int], labels: list[int]) -> Table:
    """Two columns, the second half of the first; labels by number."""
    column = np.array(values, np.float64)
    names = [f"label-{label}" for label in range(1 + max(labels))]
    return Table(
        COLUMNS,
        np.stack([column, column / 2], axis=1),
        np.eye(len(names), dtype=bool)[labels],
        names,
        np.array(groups),
    )


def copied(values: np.ndarray, groups: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over the queries of the drawn groups, each copied as often as its group was drawn."""
    rows = [
        row
        for group, count in enumerate(counts)
        for _ in range(int(count))
        for row in np.flatnonzero(groups == group)
    ]
    return values[rows].mean(axis=0) if rows else np.full(values.shape[1], np.nan)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 2**32))
def test_weights_do_what_copies_would(groups: int, queries: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    numbers = bootstrap.numbered(random.integers(0, groups, queries))
    values, part = random.random((queries, 3)), random.random(queries) < 0.6
    whole, some = resampled(values, numbers, np.array([np.ones(queries, bool), part]))
    assert whole.shape == (RESAMPLES, 3)
    counts = np.concatenate([counts for _, counts in bootstrap._drawn(1 + numbers.max())])
    for draw in range(0, RESAMPLES, 400):
        assert whole[draw] == pytest.approx(copied(values, numbers, counts[draw]))
        assert some[draw] == pytest.approx(copied(values[part], numbers[part], counts[draw]), nan_ok=True)


def test_the_numbers_of_the_groups_change_nothing() -> None:
    values, groups = np.random.default_rng(0).random((8, 2)), np.array([4, 4, 7, 5, 7, 2, 2, 9])
    parts = np.concatenate([np.ones((1, 8), bool), np.eye(8, dtype=bool)])
    ours, theirs = (list(resampled(values, each, parts)) for each in (groups, 100 - 3 * groups))
    np.testing.assert_array_equal(ours, theirs)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, groups, parts = np.arange(12.0).reshape(6, 2), np.array([3, 3, 5, 5, 9, 9]), np.eye(6, dtype=bool)
    whole = list(resampled(values, groups, parts))
    monkeypatch.setattr(bootstrap, "CELLS", 1000)
    monkeypatch.setattr(bootstrap, "PARTS_AT_ONCE", 1)
    assert all(
        np.array_equal(one, same, equal_nan=True)
        for one, same in zip(whole, resampled(values, groups, parts), strict=True)
    )


def test_the_interval_is_that_of_the_normal_law_where_it_should_be() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0.5, 0.1, (400, 1))
    (means,) = resampled(values, np.arange(400), np.ones((1, 400), bool))
    ((low, high),) = interval(means).tolist()
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.001)


def test_patients_are_drawn_and_not_images() -> None:
    random = np.random.default_rng(1)
    of_patients = random.random(20)
    few, many = (
        table(np.repeat(of_patients, n).tolist(), np.repeat(np.arange(20), n).tolist(), [0] * 20 * n)
        for n in (1, 50)
    )
    assert intervals(few)["micro"]["at"]["1"]["precision"] == pytest.approx(
        intervals(many)["micro"]["at"]["1"]["precision"]
    )  # type: ignore[index]


def test_all_means_have_intervals_and_one_group_has_none() -> None:
    found = intervals(table([0, 1, 1, 0, 1], [1, 1, 2, 3, 3], [0, 0, 0, 1, 1]))
    assert found is not None
    assert (found["level"], found["resamples"], found["groups"]) == (0.95, RESAMPLES, 3)
    low, high = found["micro"]["at"]["1"]["precision"]
    assert 0 <= low <= 3 / 5 <= high <= 1
    assert found["macro"]["whole"]["mrr"][0] <= (2 / 3 + 1 / 2) / 4 <= found["macro"]["whole"]["mrr"][1]
    assert found["per_class"]["label-0"]["at"]["1"]["precision"] == pytest.approx([1 / 2, 1])
    assert found["per_class"]["label-1"] is None
    assert intervals(table([0, 1], [7, 7], [0, 1])) is None


def test_macro_intervals_are_over_labels() -> None:
    found = intervals(table([1] * 30 + [0, 0], [*range(30), 40, 41], [0] * 30 + [1, 1]))
    assert found is not None
    assert found["macro"]["at"]["1"]["precision"] == pytest.approx([0.5, 1]), "a draw without the rare label has 1"


def test_one_group_moves_no_mean_over_labels_of_several() -> None:
    """Twenty patients of one label, half of them right, and one patient of another label who is never right."""
    asked = table([0, 1] * 10 + [0], list(range(21)), [0] * 20 + [1])
    summary, found = summarise(asked, np.array([20, 1])), intervals(asked)
    assert (summary["macro"]["1"]["precision"], summary["macro_several"]["1"]["precision"]) == (0.25, 0.5)
    assert summary["whole"]["macro_several"]["mrr"] == 0.25
    assert found is not None
    assert found["macro_several"] == found["per_class"]["label-0"]
    assert found["macro"]["at"]["1"]["precision"][1] > 0.5, "a draw without the lone patient is of the other label"
    other = table([0] * 21, list(range(21)), [0] * 20 + [1])
    assert difference(asked, other)["macro_several"]["at"]["1"]["precision"]["difference"] == pytest.approx(0.5)


def test_labels_of_one_group_each_have_no_mean_over_those_of_several() -> None:
    lone = table([0, 1, 1], [0, 0, 1], [0, 0, 1])
    summary, found = summarise(lone, np.array([2, 1])), intervals(lone)
    assert (summary["macro_several"], "macro_several" in summary["whole"]) == (None, False)
    assert found is not None
    assert found["macro_several"] is None
    assert difference(lone, lone)["macro_several"] is None


def test_a_draw_without_any_label_of_several_groups_is_left_out() -> None:
    found = intervals(table([1, 1, 0, 0], [0, 1, 2, 3], [0, 0, 1, 2]))
    assert found is not None
    assert found["macro_several"]["at"]["1"]["precision"] == [1, 1]


def test_a_difference_is_tested_in_pairs() -> None:
    base, labels = np.random.default_rng(2).random(50), [0] * 25 + [1] * 25
    worse, better = (
        table(base.tolist(), list(range(50)), labels),
        table((base + 0.01).tolist(), list(range(50)), labels),
    )
    found = difference(better, worse)["micro"]["at"]["1"]["precision"]
    assert found["difference"] == pytest.approx(0.01)
    assert found["interval"] == pytest.approx([0.01, 0.01])
    assert found["p"] == pytest.approx(1 / (EXCHANGES + 1))
    turned = difference(worse, better)["macro"]["whole"]["mrr"]
    assert (turned["difference"], turned["p"]) == pytest.approx((-0.005, 1 / (EXCHANGES + 1)))
    same = difference(worse, worse)["micro"]["at"]["1"]["precision"]
    assert same == {"difference": 0, "interval": [0, 0], "p": 1}


def test_one_group_tells_no_difference() -> None:
    found = difference(table([1, 1], [0, 0], [0, 1]), table([0, 1], [0, 0], [0, 1]))
    assert found["micro"]["at"]["1"]["precision"] == {"difference": 0.5, "interval": None, "p": None}


def test_one_k_is_shown_where_there_is_room_for_one() -> None:
    assert [typical(dict.fromkeys(ks)) for ks in (["1", "20", "100"], ["1", "5", "10"], ["40", "80"])] == [
        "20",
        "10",
        "40",
    ]


def test_the_queries_of_each_value_are_averaged() -> None:
    found = breakdown(table([0, 1, 1, 0], [1, 2, 3, 3], [0, 0, 0, 0]), ["mri", "mri|ct", None, "xray"])
    assert list(found) == ["ct", "mri", "xray"]
    assert (found["mri"]["queries"], found["mri"]["groups"], found["mri"]["at"]["1"]["precision"]) == (2, 2, 0.5)
    assert found["mri"]["intervals"]["at"]["1"]["precision"] == [0, 1]
    assert found["xray"]["intervals"] is None
    assert breakdown(table([0], [1], [0]), [None]) == {}
