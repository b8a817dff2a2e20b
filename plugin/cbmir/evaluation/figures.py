"""The figures of an evaluation, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

CURVES = {
    "precision": ("#1b6ca8", "-"),
    "recall_capped": ("#c8553d", "--"),
    "recall": ("#c8553d", ":"),
    "map": ("#3c7a3c", "-"),
    "ndcg": ("#7a4ea3", "--"),
    "accuracy": ("#6b6b6b", "-."),
}
"""Metric -> colour and line; told apart by the line too, for those who do not see the colours."""
MOST_BARS = 40


def by_k(at: Mapping[str, Mapping[str, float]]) -> bytes:
    """Every metric by the number of retrieved images; `at` is `cbmir.evaluation.summary.Averages`."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, (colour, line) in CURVES.items():
        values = [row[name] for row in at.values()]
        axes.plot([int(k) for k in at], values, line, color=colour, marker="o", markersize=4, label=name)
    _dress(axes)
    axes.set_xticks([int(k) for k in at])
    axes.set_xlabel("retrieved images, k")
    axes.legend(loc="best", frameon=False)
    return _svg(figure)


def by_label(per_class: Mapping[str, Mapping[str, Any]], k: str) -> bytes:
    """Precision and capped recall of each label at one k, worst first; at most the worst 40 labels."""
    rows = sorted(per_class.items(), key=lambda row: (row[1]["at"][k]["precision"], row[0]))[:MOST_BARS]
    figure = Figure(figsize=(7, 1.4 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    for name, shift in (("precision", -0.2), ("recall_capped", 0.2)):
        values = [row["at"][k][name] for _, row in rows]
        axes.barh([place + shift for place in places], values, height=0.38, color=CURVES[name][0], label=name)
    axes.set_yticks(list(places), [f"{label} ({row['queries']})" for label, row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.0)
    axes.set_xlabel(f"at {k} retrieved images (number of queries in brackets)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return _svg(figure)


def _dress(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
