"""The paper's figures, drawn anew: each carries at its foot the command and the data that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from cbmir.evaluation.example import Example, Shown
from cbmir.evaluation.reproduction import paper
from cbmir.evaluation.reproduction.tables import Row

OURS, THEIR, THIRD = "#1b6ca8", "#c8553d", "#3c7a3c"
DOTS_PER_INCH = 150
SIZE = (7, 4.2)
TITLES = {"accuracy": "accuracy", "precision": "precision", "recall_capped": "recall, capped"}
"""Without the usual recall, which table I has: near zero, it would press all others into one line."""
FOOT = 6.5
"""Font size of the foot, in points."""
WRAPPED = 120
"""Characters of the foot in a line."""


@dataclass(frozen=True)
class Drawn:
    """One figure, in both forms."""

    svg: bytes
    png: bytes


@dataclass(frozen=True)
class Drawer:
    """Draws with one foot.

    Attributes:
        command: that makes the figure.
        data: SHA-256 of the pictures, patients and labels, 64 hexadecimal digits.
    """

    command: str
    data: str

    def loss(self, history: Sequence[Mapping[str, Any]]) -> Drawn:
        """Loss by epoch, of the training and of the validation part."""
        figure, axes = _figure()
        epochs = [row["epoch"] for row in history]
        for name, title, colour in (
            ("train_loss", "training part", OURS),
            ("validation_loss", "validation part", THEIR),
        ):
            axes.plot(epochs, [row[name] for row in history], color=colour, marker=".", label=title)
        axes.set_ylim(0, 1.08 * axes.dataLim.ymax)
        _by_epoch(axes, epochs)
        axes.set_ylabel("mean squared error")
        return self._done(figure, 2)

    def accuracy(self, history: Sequence[Mapping[str, Any]], k: int) -> Drawn:
        """Accuracy by epoch."""
        figure, axes = _figure()
        epochs = [row["epoch"] for row in history]
        axes.plot(epochs, [row["validation_accuracy"] for row in history], color=OURS, marker=".")
        _by_epoch(axes, epochs)
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.005))  # a mark at 1 is not cut off, and nothing is above it
        axes.set_ylabel(f"accuracy on the validation part, {k} nearest")
        return self._done(figure)

    def retrieved(self, rows: Sequence[Row]) -> Drawn:
        """Performance by the number of retrieved images, ours beside the paper's."""
        figure, axes = _figure()
        ks = [row["k"] for row in rows]
        for (metric, title), colour in zip(TITLES.items(), (OURS, THEIR, THIRD), strict=True):
            axes.plot(ks, [row[f"ours_{metric}"] for row in rows], color=colour, marker="o", label=title)
            theirs = [row[f"paper_{metric}"] for row in rows]
            axes.plot(ks, theirs, ":", color=colour, marker="x", label=f"{title}: paper")
        axes.set_xticks(ks)
        axes.set_xlabel("retrieved images")
        return self._done(figure, 3)

    def comparison(self, rows: Sequence[Row]) -> Drawn:
        """The methods' accuracies as bars, ours beside the paper's."""
        figure, axes = _figure()
        for name, shift, colour in (("paper", -0.2, THEIR), ("ours", 0.2, OURS)):
            measured = {place + shift: row[name] for place, row in enumerate(rows) if row[name] is not None}
            bars = axes.bar([*measured], [*measured.values()], 0.38, color=colour, label=name)
            axes.bar_label(bars, [f"{100 * value:.1f}" for value in measured.values()], padding=2, fontsize=7.5)
        for place, row in enumerate(rows):
            if row["ours"] is None:
                axes.text(place + 0.2, 0.02, "not measured", ha="center", va="bottom", fontsize=7.5, rotation=90)
        axes.set_xticks(range(len(rows)), [paper.NAMES[row["method"]] for row in rows])
        axes.set_ylim(0, 1.08)
        axes.set_ylabel("accuracy, mean over the five k")
        return self._done(figure, 2)

    def queries(self, examples: Sequence[Example]) -> Drawn:
        """Queries, one a row, with what they retrieved."""
        widest = max(len(example.hits) for example in examples)
        figure = Figure(figsize=(1.25 * (widest + 1), 1.65 * len(examples) + 0.4), layout="constrained")
        grid = figure.subplots(len(examples), widest + 1, squeeze=False)
        for row, example in zip(grid, examples, strict=True):
            for axes in row:
                axes.set_axis_off()
            _show(row[0], example.query, f"query\n{example.query.label}", "#222222")
            for axes, hit in zip(row[1:], example.hits, strict=False):
                _show(axes, hit, f"{hit.label}\n{hit.distance:.3f}", THIRD if hit.is_relevant else THEIR)
        return self._done(figure)

    def _done(self, figure: Figure, columns: int = 0) -> Drawn:
        if columns:
            figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=8)
        foot = "\n".join([*_wrapped(self.command), f"data {self.data[:16]}"])
        figure.supxlabel(foot, fontsize=FOOT, color="#555555", family="monospace", x=0.01, ha="left")
        said = {"Title": self.command, "Description": f"data {self.data}"}
        return Drawn(
            _saved(figure, "svg", {**said, "Date": None}),
            _saved(figure, "png", {**said, "Software": None}),
        )


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _by_epoch(axes: Axes, epochs: Sequence[int]) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)  # else the axis of one epoch has fractions of it
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _show(axes: Axes, shown: Shown, title: str, colour: str) -> None:
    axes.imshow(Image.open(BytesIO(shown.png)).convert("RGB"))
    axes.set_title(title, fontsize=7, color=colour, parse_math=False)


def _wrapped(command: str) -> list[str]:
    """The command in lines that end with a backslash, as a shell wants them."""
    lines = [""]
    for word in command.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > WRAPPED:
            lines[-1] += " \\"
            lines.append(" ")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return lines


def _saved(figure: Figure, form: str, metadata: Mapping[str, str | None]) -> bytes:
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "cbmir"}):  # else the ids within differ each time
        figure.savefig(buffer, format=form, dpi=DOTS_PER_INCH, metadata=dict(metadata))
    return buffer.getvalue()
