"""An evaluation as a folder to be kept: the numbers, the figures, and a page that shows both."""

from __future__ import annotations

import base64
import errno
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from cbmir.errors import BadRequest, DiskFull
from cbmir.evaluation import figures
from cbmir.evaluation.example import Example
from cbmir.evaluation.metrics import METRICS
from cbmir.evaluation.summary import typical
from cbmir.evaluation.whole import WHOLE
from cbmir.words import counted

PAGE = "report.html"


def write(folder: Path, result: Mapping[str, Any], examples: Sequence[Example]) -> None:
    """Write `report.json`, `report.html` (with everything inside) and `figures/*.svg` into a folder.

    Args:
        folder: made if it is missing; files of these names are replaced.
        result: what `cbmir.services.evaluation.evaluate.evaluate` returns.
        examples: some queries with their hits; they are patient data, as the page then is.

    Raises:
        cbmir.errors.DiskFull: if there is no room.
        cbmir.errors.BadRequest: if the folder cannot be written.
    """
    drawn = draw(result)
    files = {f"figures/{name}.svg": svg for name, svg in drawn.items()}
    files["report.json"] = json.dumps(result, indent=2).encode()
    files[PAGE] = page(result, drawn, examples).encode()
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise _translated(folder, error) from error


def draw(result: Mapping[str, Any]) -> dict[str, bytes]:
    """The figures of an evaluation, SVG by name."""
    found, per_class = result["intervals"], result["per_class"]
    made = _made(result)
    drawn = {
        "by_k": figures.by_k(result["at"], found and found["micro"]["at"], made),
        "by_label": figures.by_label(per_class, typical(result["at"]), found and found["per_class"], made),
    }
    if result["against"]:
        drawn["against"] = figures.differences(
            result["against"]["difference"]["micro"], result["against"]["encoder"], made
        )
    return drawn


def page(result: Mapping[str, Any], drawn: Mapping[str, bytes], examples: Sequence[Example]) -> str:
    """The page, complete in itself: it loads nothing from elsewhere."""
    environment = Environment(loader=PackageLoader("cbmir.evaluation", ""), autoescape=True)
    environment.filters["inline"] = lambda content, kind: f"data:{kind};base64,{base64.b64encode(content).decode()}"
    environment.filters["counted"] = counted
    template = environment.get_template("report.html.jinja")
    return template.render(
        result=result,
        figures=drawn,
        examples=examples,
        metrics=list(METRICS),
        whole=list(WHOLE),
        k=typical(result["at"]),
    )


def _made(result: Mapping[str, Any]) -> str:
    asked = f"{counted(result['queries'], 'query', 'queries')} of {counted(result['groups']['queries'], 'group')}"
    return (
        f"{result['command']}\n{asked}, {counted(result['gallery'], 'image')} searched; cbmir {result['version']}"
    )


def _translated(folder: Path, error: OSError) -> BadRequest | DiskFull:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"There is no room for the report in {folder}.", "Free space, then repeat.")
    return BadRequest(f"The report cannot be written to {folder}: {error.strerror}.", "Name another folder.")
