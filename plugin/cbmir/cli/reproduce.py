"""`cbmir reproduce`: the paper's experiment, from its images to its tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cbmir.cli.context import Context, json_option, keeping, print_json
from cbmir.evaluation.reproduction import paper

OUT = Path("reproduction")
FOLDER = click.Path(file_okay=False, path_type=Path)
UNTRAINED = "none"
HOW = "docs/reproduce.md says how to get their weights."


def _folder(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A folder that was named is there: a slip of the pen would else be told after hours, in a table."""
    if value not in (None, UNTRAINED) and not Path(value).is_dir():
        raise click.BadParameter(f"there is no folder {value}; `none` draws the weights by chance")
    return value


@click.command("reproduce")
@click.option("--out", type=FOLDER, default=OUT, show_default=True, help="Folder for results and working data.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Images with a manifest.csv of path, modality, subclass, group; drawn patients if left out.",
)
@click.option("--limit", type=click.IntRange(1), help="A quick look at about so many images, whole patients.")
@click.option("--epochs", type=click.IntRange(1), default=paper.EPOCHS, show_default=True, help="Of the training.")
@click.option("--side", type=click.IntRange(16, 1024), default=64, show_default=True, help="Input side in pixels.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is left to chance.")
@click.option(
    "--methods",
    default=",".join(paper.NAMES),
    show_default=True,
    help="What to compare; the paper's own always is.",
)
@click.option(
    "--weights",
    callback=_folder,
    metavar="DIR|none",
    help="Folder of the rivals' NAME.safetensors; `none` draws them by chance. Left out, so are these rivals.",
)
@click.option(
    "--rival-side", type=click.IntRange(32, 1024), default=224, show_default=True, help="Side of the rivals' input."
)
@json_option
@click.pass_obj
def reproduce_command(
    context: Context, /, out: Path, methods: str, weights: str | None, as_json: bool, **asked: Any
) -> None:
    """Train the paper's autoencoder by the book, beside its rivals; write the paper's tables and figures.

    What was cut off goes on where it was, if it is started again with the same words.
    """
    from cbmir.evaluation.reproduction.page import PAGE
    from cbmir.services.evaluation.reproduction.reproduce import Reproduction, installation
    from cbmir.services.evaluation.reproduction.rivals import FROZEN
    from cbmir.services.evaluation.reproduction.wanted import Wanted

    wanted = Wanted(methods=_methods(methods), **_weights(weights), **asked)
    left_out = [paper.NAMES[name] for name in wanted.methods if name in FROZEN]
    if weights is None and left_out:
        click.echo(f"cbmir: without --weights these are left out: {', '.join(left_out)}. {HOW}", err=True)
    own = Context(installation(context.settings, out))
    work = Reproduction(own.database, own.settings, wanted, out)
    with keeping(f"What was done is kept in {out}: the same command goes on from there."):
        result = _reproduced(own, work)
    if as_json:
        print_json(result)
        return
    _print(result)
    click.echo(f"\nThe page: {out / PAGE}")


def _weights(named: str | None) -> dict[str, Any]:
    if named == UNTRAINED:
        return {"untrained": True}
    return {"weights": Path(named)} if named else {}


def _methods(text: str) -> tuple[str, ...]:
    chosen = [name.strip() for name in text.split(",")]
    unknown = [name for name in chosen if name not in paper.NAMES]
    if unknown:
        known = ", ".join(paper.NAMES)
        raise click.BadParameter(f"there is no {unknown[0]!r}; known are {known}", param_hint="--methods")
    return tuple(name for name in paper.NAMES if name in chosen or name == paper.OWN)


def _reproduced(context: Context, work: Any) -> dict[str, Any]:
    work.claim()
    with context.progress("ingest") as progress:
        work.take_in(progress)
    with context.progress("train") as progress:
        own = work.train(progress)
    with context.progress("rivals") as progress:
        methods = work.compete(own, progress)
    with context.progress("extract") as progress:
        work.extract(methods, progress)
    with context.progress("evaluate") as progress:
        result: dict[str, Any] = work.evaluate(methods, progress)
    return result


def _print(result: dict[str, Any]) -> None:
    for notice in result["notices"]:
        click.echo(f"cbmir: {notice}", err=True)
    click.echo("Table I: the autoencoder, in per cent (paper / ours)")
    click.echo("   k         accuracy        precision   recall, capped   recall")
    for row in result["table_1"]:
        cells = [
            _pair(row[f"paper_{name}"], row[f"ours_{name}"]) for name in ("accuracy", "precision", "recall_capped")
        ]
        click.echo(f"{row['k']:>4}  {'  '.join(cells)}   {100 * row['ours_recall']:.2f}")
    click.echo("\nTable II: the methods by accuracy, in per cent (paper / ours)")
    for row in result["table_2"]:
        click.echo(f"{paper.NAMES[row['method']]:<16}{_pair(row['paper'], row['ours'])}   {row['weights']}")
    click.echo()
    for name, meaning in result["definitions"].items():
        click.echo(f"{name}: {meaning}")


def _pair(theirs: float, ours: float | None) -> str:
    return f"{100 * theirs:6.2f} / {'     –' if ours is None else f'{100 * ours:6.2f}'}"
