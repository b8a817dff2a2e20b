"""The figures of an evaluation, as SVG: each says at its top what made it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from matplotlib import rc_context
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
HEAD, LINE = 6, 120
"""Font size of what made a figure, in points, and the characters of a line."""


def by_k(at: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Any] | None, made: str) -> bytes:
    """Every metric by the number of retrieved images, with its interval as a band.

    Args:
        at: k -> metric -> mean.
        intervals: k -> metric -> [low, high]; None where there are none.
        made: what made it, a line or several.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    ks = [int(k) for k in at]
    for name, (colour, line) in CURVES.items():
        axes.plot(ks, [row[name] for row in at.values()], line, color=colour, marker="o", markersize=4, label=name)
        if intervals is not None:
            low, high = zip(*(intervals[k][name] for k in at), strict=True)
            axes.fill_between(ks, low, high, color=colour, alpha=0.1, linewidth=0)
    _dress(axes)
    axes.set_xticks(ks)
    axes.set_xlabel("retrieved images, k")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return _svg(figure, made)


def by_label(
    per_class: Mapping[str, Mapping[str, Any]], k: str, intervals: Mapping[str, Any] | None, made: str
) -> bytes:
    """Precision and capped recall of each label at one k, worst first; at most the worst 40 labels.

    Args:
        per_class: label -> its averages, as `cbmir.evaluation.summary.summarise` gives them.
        k: as text.
        intervals: label -> its intervals, or None; None where there are none at all.
        made: what made it, a line or several.
    """
    rows = sorted(per_class.items(), key=lambda row: (row[1]["at"][k]["precision"], row[0]))[:MOST_BARS]
    figure = Figure(figsize=(7, 1.4 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for name, shift in (("precision", -0.2), ("recall_capped", 0.2)):
        places, values = [place + shift for place in range(len(rows))], [row["at"][k][name] for _, row in rows]
        axes.barh(places, values, height=0.38, color=CURVES[name][0], label=name)
        for place, (label, _) in zip(places, rows, strict=True):
            if intervals is not None and intervals[label] is not None:
                axes.plot(intervals[label]["at"][k][name], [place, place], color="#222222", linewidth=1)
    names = [f"{label} ({row['queries']})" for label, row in rows]
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.0)
    axes.set_xlabel(f"at {k} retrieved images (number of queries in brackets)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return _svg(figure, made)


def differences(found: Mapping[str, Any], other: str, made: str) -> bytes:
    """How much higher each metric is than the other encoder's, with its interval; 0 is no difference.

    Args:
        found: `at` and `whole` of `cbmir.evaluation.intervals.difference`.
        other: the other encoder's id.
        made: what made it, a line or several.
    """
    rows = [
        (f"{name} at {k}", row[name]) for k, row in found["at"].items() for name in ("precision", "map", "ndcg")
    ]
    rows += found["whole"].items()
    figure = Figure(figsize=(7, 1.2 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (_, each) in enumerate(rows):
        axes.plot(each["difference"], place, "o", color=CURVES["precision"][0], markersize=4)
        if each["interval"] is not None:
            axes.plot(each["interval"], [place, place], color=CURVES["precision"][0], linewidth=1.2)
    axes.axvline(0, color="#222222", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"difference to {other}")
    return _svg(figure, made)


def _dress(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure, made: str) -> bytes:
    lines = [part for line in made.splitlines() for part in textwrap.wrap(line, LINE)]
    figure.suptitle(
        "\n".join(lines), fontsize=HEAD, color="#555555", family="monospace", x=0.01, ha="left", parse_math=False
    )
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "cbmir"}):  # else the ids within differ each time
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": made})
    return buffer.getvalue()
