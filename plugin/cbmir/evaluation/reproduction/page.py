"""A reproduction as a folder to be kept: the page, the tables, the figures, and all numbers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cbmir.evaluation.example import Example
from cbmir.evaluation.reproduction import paper
from cbmir.evaluation.reproduction.figures import Drawer, Drawn
from cbmir.evaluation.reproduction.tables import METRICS, as_csv
from cbmir.files import write_whole
from cbmir.words import counted

PAGE = "index.html"


def write(folder: Path, result: Mapping[str, Any], examples: Sequence[Example]) -> None:
    """Write `index.html`, `results.json`, `table-1.csv`, `table-2.csv` and `figures/` into a folder.

    Args:
        folder: made if it is missing; files of these names are replaced.
        result: what `Reproduction.evaluate` of `cbmir.services.evaluation.reproduction.reproduce` returns.
        examples: queries with their hits; they are patient data, as the page then is.

    Raises:
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if something cannot be written.
    """
    drawn = draw(result, examples)
    for name, each in drawn.items():
        write_whole(folder / "figures" / f"{name}.svg", each.svg)
        write_whole(folder / "figures" / f"{name}.png", each.png)
    write_whole(folder / "results.json", json.dumps(result, indent=2).encode())
    for number in (1, 2):
        write_whole(folder / f"table-{number}.csv", as_csv(result[f"table_{number}"]).encode())
    write_whole(folder / PAGE, page(result, drawn).encode())


def draw(result: Mapping[str, Any], examples: Sequence[Example]) -> dict[str, Drawn]:
    """The paper's figures, by name."""
    drawer, history = Drawer(result["command"], result["data"]["sha256"]), result["training"]["history"]
    return {
        "loss": drawer.loss(history),
        "accuracy": drawer.accuracy(history, result["epoch_k"]),
        "retrieved": drawer.retrieved(result["table_1"]),
        "comparison": drawer.comparison(result["table_2"]),
        "queries": drawer.queries(examples),
    }


def page(result: Mapping[str, Any], drawn: Mapping[str, Drawn]) -> str:
    """The page, which shows everything without loading anything."""
    environment = Environment(
        loader=PackageLoader("cbmir.evaluation.reproduction", ""), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["inline"] = lambda content, kind: f"data:{kind};base64,{base64.b64encode(content).decode()}"
    environment.filters["counted"] = counted
    return environment.get_template("page.html.jinja").render(
        result=result,
        figures=drawn,
        summary=_summary(result),
        metrics=METRICS,
        ks=paper.KS,
        names=paper.NAMES,
        paper=paper,
        reports=[row["method"] for row in result["table_2"] if row["ours"] is not None],
    )


def _summary(result: Mapping[str, Any]) -> dict[str, Any]:
    own = next(row for row in result["table_2"] if row["method"] == paper.OWN)
    return {**result["asked"], "ours": own["ours"], "paper": own["paper"]}
