"""`cbmir evaluate`. Services are imported when the command runs: torch takes its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.evaluation.definitions import PROBES
from cbmir.words import counted


@click.command("evaluate")
@click.option("--k", "ks", default="1,5,10,20,40,60,80,100", show_default=True, help="Numbers of retrieved images.")
@click.option(
    "--label", default="subclass", show_default=True, help="What makes a hit relevant: modality or subclass."
)
@click.option("--encoder", "encoder_id", metavar="ID", help="Which; the one in use if left out.")
@click.option("--against", metavar="ID", help="Another encoder, asked the same queries: is the difference chance?")
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="Tell queries apart by modality, source, manufacturer, size; may be repeated.",
)
@click.option(
    "--probe",
    "probes",
    multiple=True,
    type=click.Choice([*PROBES, "all"]),
    help="What else than content may explain the figures; may be repeated.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the split by patient, where the encoder brought none.",
)
@click.option("--report", type=click.Path(file_okay=False, path_type=Path), help="Folder for report and figures.")
@json_option
@click.pass_obj
def evaluate_command(context: Context, /, ks: str, encoder_id: str | None, as_json: bool, **asked: Any) -> None:
    """Measure retrieval on patients that the encoder was not trained on."""
    from cbmir.services.evaluation.evaluate import evaluate

    with context.progress("evaluate") as progress:
        result = evaluate(context.database, context.settings, encoder_id, _numbers(ks), progress=progress, **asked)
    if as_json:
        print_json(result)
    else:
        _print_table(result)
        if report := asked["report"]:
            from cbmir.evaluation.report import PAGE

            click.echo(f"\nThe report: {report / PAGE}")


def _numbers(text: str) -> list[int]:
    numbers = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in numbers):
        raise click.BadParameter("write whole numbers with commas between, from 1: 20,40,60", param_hint="--k")
    return [int(part) for part in numbers]


def _print_table(result: dict[str, Any]) -> None:
    groups = result["groups"]
    asked = f"{counted(result['queries'], 'query', 'queries')} of {counted(groups['queries'], 'group')}"
    searched = f"{counted(result['gallery'], 'image')} of {counted(groups['gallery'], 'group')} in the gallery"
    click.echo(f"{result['encoder']}: {asked}, {searched}, by {result['label']}")
    click.echo(result["split"])
    click.echo(f"By chance the precision is {result['chance']:.4f}.")
    found = result["intervals"]
    for mean, title in _shown(result).items():
        at = result["at" if mean == "micro" else mean]
        click.echo(f"\n{title} ({mean})")
        click.echo("\n".join(_table(at, None if found is None else found[mean]["at"])))
    click.echo("\nwhole gallery")
    click.echo("\n".join(_whole({mean: result["whole"][mean] for mean in _shown(result)}, found)))
    click.echo("\n".join(_by(result["label"], {"values": result["per_class"], "queries_without": 0})))
    for name, found in result["by"].items():
        click.echo("\n".join(_by(name, found)))
    if result["against"]:
        click.echo("\n".join(_against(result["against"], _shown(result))))
    click.echo("\n".join(_probes(result["probes"])))
    _print_skipped(result["skipped"])
    click.echo()
    for name, meaning in result["definitions"].items():
        click.echo(f"{name}: {meaning}")


def _shown(result: dict[str, Any]) -> dict[str, str]:
    """The means to print, with their titles: that over labels of several groups where it is another one."""
    lone = result["macro_several"] not in (None, result["macro"])
    several = {"macro_several": "labels of two groups and more alike"} if lone else {}
    return {"micro": "all queries", "macro": "all labels alike", **several}


def _table(at: dict[str, Any], intervals: dict[str, Any] | None) -> Iterator[str]:
    """The averages at each k, and below each its interval where there is one."""
    names = list(next(iter(at.values())))
    yield "   k  " + "  ".join(f"{name:>13}" for name in names)
    for k, row in at.items():
        yield f"{k:>4}  " + "  ".join(f"{row[name]:>13.4f}" for name in names)
        if intervals is not None:
            yield "      " + "  ".join(f"{_range(intervals[k][name]):>13}" for name in names)


def _whole(whole: dict[str, Any], intervals: dict[str, Any] | None) -> Iterator[str]:
    for mean, row in whole.items():
        for name, value in row.items():
            known = "" if intervals is None else f"  {_range(intervals[mean]['whole'][name])}"
            yield f"{mean:<13}  {name:>11}  {value:.4f}{known}"


def _by(name: str, found: dict[str, Any]) -> Iterator[str]:
    """The averages of the queries of each value, at one k and over the whole gallery."""
    from cbmir.evaluation.summary import typical

    for value, row in found["values"].items():
        k = typical(row["at"])
        numbers = "  ".join(f"{each} {number:.4f}" for each, number in {**row["at"][k], **row["whole"]}.items())
        asked, groups = counted(row["queries"], "query", "queries"), counted(row["groups"], "group")
        yield f"\n{name} {value}: {asked} of {groups}; at {k}: {numbers}"
    if lone := found["queries_without"]:
        yield f"\n{counted(lone, 'query has', 'queries have')} no {name}"


def _probes(found: dict[str, Any]) -> Iterator[str]:
    """What each probe found, a line a number."""
    for probe, figures in found.items():
        yield f"\nprobe {probe}"
        plain = {name: value for name, value in figures.items() if name not in ("at", "values")}
        for name, value in {**plain, **figures.get("values", {})}.items():
            yield f"  {name}: {_figures(value)}"
        for k, row in (figures.get("at") or {}).items():
            yield f"  at {k:>3}: {_figures(row)}"


def _figures(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_figures(each)}" for name, each in value.items())
    if value is None:
        return "nothing to tell"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _against(against: dict[str, Any], titles: dict[str, str]) -> Iterator[str]:
    head = f"less {against['encoder']}, the same queries: difference, its interval, two-sided p"
    for mean, title in titles.items():
        yield f"\n{head}; {title} ({mean})"
        difference = against["difference"][mean]
        for k, row in difference["at"].items():
            yield from (f"{k:>4}  {name:>13}  {_difference(each)}" for name, each in row.items())
        yield from (f" all  {name:>13}  {_difference(each)}" for name, each in difference["whole"].items())


def _difference(each: dict[str, Any]) -> str:
    if each["interval"] is None:
        return f"{each['difference']:+z.4f}"
    low, high = each["interval"]
    return f"{each['difference']:+z.4f}  [{low:+z.4f}, {high:+z.4f}]  p {each['p']:.4f}"


def _range(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f}–{interval[1]:.3f}"


def _print_skipped(skipped: dict[str, Any]) -> None:
    if skipped["queries_without_relevant"]:
        lone = counted(skipped["queries_without_relevant"], "query", "queries")
        labels = ", ".join(skipped["labels_without_relevant"])
        click.echo(f"\nleft out: {lone} to which nothing in the gallery is relevant: {labels}")
    unlabelled = skipped["unlabelled_queries"] + skipped["unlabelled_gallery"]
    if unlabelled:
        click.echo(f"\nleft out: {counted(unlabelled, 'image')} without the label")
