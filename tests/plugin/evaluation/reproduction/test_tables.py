from __future__ import annotations

import csv
from io import StringIO

import pytest

from cbmir.evaluation.reproduction import definitions, paper
from cbmir.evaluation.reproduction.tables import as_csv, method_accuracy, table_1, table_2

NUMBERS = {"accuracy": 0.9, "precision": 0.8, "recall_capped": 0.7, "recall": 0.1}


def evaluation(intervals: bool = True) -> dict[str, object]:
    at = {str(k): {**NUMBERS, "accuracy": k / 100} for k in paper.KS}
    bounds = {k: {name: [value - 0.1, value + 0.1] for name, value in row.items()} for k, row in at.items()}
    return {"at": at, "intervals": {"micro": {"at": bounds}} if intervals else None}


def test_the_papers_own_accuracy_in_table_2_is_the_mean_of_its_five_in_table_1() -> None:
    mean = sum(row["accuracy"] for row in paper.TABLE_1.values()) / len(paper.KS)
    assert round(mean, 4) == paper.TABLE_2[paper.OWN]


def test_ours_stands_beside_the_papers() -> None:
    rows = table_1(evaluation())
    assert [row["k"] for row in rows] == [20, 40, 60, 80, 100]
    assert (rows[0]["paper_accuracy"], rows[0]["ours_accuracy"]) == (0.9834, 0.2)
    assert (rows[2]["paper_recall_capped"], rows[2]["ours_recall_capped"]) == (0.9487, 0.7)
    assert (rows[0]["paper_recall"], rows[0]["ours_recall"]) == (None, 0.1)
    assert rows[0]["interval_accuracy"] == pytest.approx([0.1, 0.3])
    assert table_1(evaluation(intervals=False))[0]["interval_accuracy"] is None


def test_a_method_is_judged_over_the_five_k_and_one_not_measured_says_so() -> None:
    rows = table_2(
        [
            {"method": "vgg16", "weights": "none", "evaluation": None},
            {"method": paper.OWN, "weights": "trained here", "evaluation": evaluation()},
        ]
    )
    assert (rows[0]["paper"], rows[0]["ours"], rows[0]["ours_at"]) == (0.9234, None, None)
    assert rows[1]["ours"] == pytest.approx(0.6) == method_accuracy(evaluation())


def test_a_table_is_read_back_from_csv() -> None:
    rows = list(csv.DictReader(StringIO(as_csv(table_1(evaluation())))))
    assert float(rows[1]["ours_accuracy"]) == 0.4
    assert float(rows[1]["interval_accuracy_high"]) == 0.5
    compared = as_csv(table_2([{"method": "vgg16", "weights": "none", "evaluation": None}]))
    assert next(iter(csv.DictReader(StringIO(compared))))["ours"] == ""


def test_the_definitions_name_their_k() -> None:
    assert "most of the 7 nearest" in definitions.of(7)["accuracy by epoch"]
