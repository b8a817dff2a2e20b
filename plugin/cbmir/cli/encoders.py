"""`cbmir train`, `extract` and `encoders`. Services are imported when a command runs: they take their time."""

from __future__ import annotations

from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.cli.encoder_adding import adapt_command, add_command, quantise_command
from cbmir.cli.encoder_releasing import release_command
from cbmir.cli.encoder_versions import COMMANDS
from cbmir.progress import Silence
from cbmir.store import encoders
from cbmir.store.tables import Encoder
from cbmir.training.request import TRAINABLE, lone_labels


@click.command("train")
@click.option(
    "--encoder",
    "architecture",
    type=click.Choice(TRAINABLE),
    default=TRAINABLE[0],
    show_default=True,
    help="The architecture.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training part: 35; efficientnet-lite0: 6.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of split, weights and order.")
@click.option("--side", type=click.IntRange(16, 1024), help="Input side in pixels: 64; efficientnet-lite0: 128.")
@click.option("--batch-size", type=click.IntRange(1), help="Images a step: 32; efficientnet-lite0: 64.")
@click.option(
    "--start",
    default="default",
    show_default=True,
    help="Of a training by labels: `default`, `photographs` (needs cbmir[efficientnet]) or an encoder's id. "
    "Patients whom that encoder has seen keep their part of the split.",
)
@json_option
@click.pass_obj
def train_command(
    context: Context,
    architecture: str,
    epochs: int | None,
    seed: int,
    side: int | None,
    batch_size: int | None,
    start: str,
    as_json: bool,
) -> None:
    """Train an encoder on the library; an interrupted training of the same kind goes on where it was.

    Several processes share the work if torch's launcher starts them: torchrun --nproc-per-node 2 -m cbmir train
    """
    from cbmir.services.training.train import TrainingRequest, train
    from cbmir.training.team import team

    request = TrainingRequest.usual(
        architecture, epochs=epochs, seed=seed, side=side, batch_size=batch_size, start=start
    )
    with team() as members, context.progress("train") as bar:
        progress = bar if members.is_first else Silence()
        encoder_id = train(context.database, context.settings, request, progress, team=members)
        if not members.is_first:
            return
    with context.database.read() as session:
        report = _row(encoders.get(session, encoder_id), 0)
        in_use = encoders.resolve(session, None).id
    if lone := lone_labels(report["training"]):
        click.echo(f"cbmir: of one image alone nothing general is learnt: {', '.join(lone)}. Add more.", err=True)
    if as_json:
        print_json(report)
        return
    click.echo(f"{encoder_id} is trained. Now: cbmir extract{_then(in_use, encoder_id)}")


@click.command("extract")
@click.option("--encoder", "encoder_id", metavar="ID", help="Which; all that are kept if left out.")
@json_option
@click.pass_obj
def extract_command(context: Context, encoder_id: str | None, as_json: bool) -> int:
    """Compute the features of all pictures that have none yet."""
    from cbmir.services.conversion.outdated import REMEDY
    from cbmir.services.encoders.versions.keeping import extract_kept
    from cbmir.services.features.extract import extract
    from cbmir.services.retrieval.confidence.calibrate import refresh
    from cbmir.services.retrieval.indexes.index_files import keep_up

    with context.progress("extract") as progress:
        if encoder_id is None:
            report = extract_kept(context.database, context.settings, progress)
        else:
            report = extract(context.database, context.settings, encoder_id, progress)
        reports = [report, *report.get("beside", [])]
        for each in reports:
            refresh(context.database, context.settings, each["encoder"], progress)
            keep_up(context.database, context.settings, each["encoder"])
    if report["outdated"]:
        old = f"{report['outdated']:,} features are of pictures that are made otherwise today."
        click.echo(f"cbmir: {old} {REMEDY}", err=True)
    if as_json:
        print_json(report)
    else:
        for each in reports:
            which = f"{each['encoder']}: " if len(reports) > 1 else ""
            counts = (
                f"{each['extracted']:,} extracted, {each['already']:,} there already, {each['failed']:,} failed."
            )
            click.echo(f"{which}{counts}")
    return 1 if any(each["failed"] for each in reports) else 0


@click.group("encoders", invoke_without_command=True)
@json_option
@click.pass_context
def encoders_command(ctx: click.Context, as_json: bool) -> None:
    """List the encoders, the one in use first; or add one, say which answers, and whose features are kept."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json)


for command in (add_command, adapt_command, quantise_command, *COMMANDS, release_command):
    encoders_command.add_command(command)


@encoders_command.command("list")
@json_option
@click.pass_obj
def list_command(context: Context, as_json: bool) -> None:
    """List the encoders, the one in use first."""
    _list(context, as_json)


def _list(context: Context, as_json: bool) -> None:
    from cbmir.services.conversion import outdated
    from cbmir.services.encoders.versions.overview import versions

    with context.database.read() as session:
        rows = [
            {
                **_row(each.encoder, each.features, outdated.count(session, each.encoder.id, context.settings)),
                "state": each.state.value,
                "missing": each.missing,
                "bytes": each.bytes,
            }
            for each in versions(session)
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        old = f" ({row['outdated']:,} outdated)" if row["outdated"] else ""
        lacks = f", {row['missing']:,} missing" if row["missing"] else ""
        click.echo(
            f"{row['encoder']}  {row['state']}  {row['dimension']} numbers  "
            f"{row['features']:,} features{old}{lacks}  {row['created_at']}"
        )
    if any(row["outdated"] for row in rows):
        click.echo(
            f"cbmir: outdated features are of pictures that are made otherwise today. {outdated.REMEDY}", err=True
        )
    if not rows:
        click.echo("No encoder yet: cbmir train")


def _then(in_use: str, encoder_id: str) -> str:
    return "" if in_use == encoder_id else f"; then, to let it answer: cbmir encoders activate {encoder_id}"


def _row(row: Encoder, count: int, old: int = 0) -> dict[str, Any]:
    return {
        "encoder": row.id,
        "architecture": row.architecture,
        "dimension": row.dimension,
        "weights_sha256": row.weights_sha256,
        "preprocessing": row.preprocessing,
        "training": row.training,
        "metrics": row.metrics,
        "features": count,
        "outdated": old,
        "created_at": row.created_at.isoformat(timespec="seconds"),
    }
