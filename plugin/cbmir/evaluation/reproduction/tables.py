"""The paper's two tables, with its numbers and ours in each row."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from cbmir.evaluation.reproduction import paper

Row = dict[str, Any]
METRICS = ("accuracy", "precision", "recall_capped", "recall")
THEIRS = {"accuracy": "accuracy", "precision": "precision", "recall_capped": "recall"}
"""Our metric -> the paper's that it stands beside."""


def table_1(evaluation: Mapping[str, Any]) -> list[Row]:
    """The autoencoder by the number of retrieved images.

    Args:
        evaluation: as `cbmir.services.evaluation.evaluate.evaluate` returns it, at the paper's k.

    Returns:
        A row for each k: `k`; for each metric `paper_…` (None for the usual recall, which the paper cannot mean),
        `ours_…` and `interval_…`, [low, high] or None.
    """
    found = evaluation["intervals"]
    rows = []
    for k in paper.KS:
        row: Row = {"k": k}
        for metric in METRICS:
            row[f"paper_{metric}"] = paper.TABLE_1[k][THEIRS[metric]] if metric in THEIRS else None
            row[f"ours_{metric}"] = evaluation["at"][str(k)][metric]
            row[f"interval_{metric}"] = found and found["micro"]["at"][str(k)][metric]
        rows.append(row)
    return rows


def table_2(methods: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The comparison of methods by accuracy.

    Args:
        methods: of each its `method`, `weights` (in words), and `evaluation`: None where it could not be measured.

    Returns:
        A row for each: `method`, `paper`, `ours` (None where not measured), `ours_at` (k -> accuracy), `weights`.
    """
    return [
        {
            "method": each["method"],
            "paper": paper.TABLE_2[each["method"]],
            "ours": each["evaluation"] and method_accuracy(each["evaluation"]),
            "ours_at": each["evaluation"]
            and {str(k): each["evaluation"]["at"][str(k)]["accuracy"] for k in paper.KS},
            "weights": each["weights"],
        }
        for each in methods
    ]


def method_accuracy(evaluation: Mapping[str, Any]) -> float:
    """Mean of the accuracies at the five k."""
    return sum(float(evaluation["at"][str(k)]["accuracy"]) for k in paper.KS) / len(paper.KS)


def as_csv(rows: Sequence[Row]) -> str:
    """A table as CSV; an interval, or a number for each k, takes a column for each of its numbers."""
    flat = [_flat(row) for row in rows]
    stream = StringIO()
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return stream.getvalue()


def _flat(row: Row) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}_{key}": each for key, each in value.items()}
        elif isinstance(value, Sequence) and not isinstance(value, str):
            flat |= dict(zip((f"{name}_low", f"{name}_high"), value, strict=True))
        else:
            flat[name] = value
    return flat
