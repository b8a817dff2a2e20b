"""`cbmir train`, `extract` and `encoders`. Services are imported when a command runs: torch takes its time."""

from __future__ import annotations

from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.store import encoders, features
from cbmir.store.tables import Encoder


@click.command("train")
@click.option("--encoder", "architecture", default="cnn-autoencoder", show_default=True, help="The architecture.")
@click.option(
    "--epochs", type=click.IntRange(1), default=35, show_default=True, help="Passes over the training part."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of split, weights and order.")
@click.option("--side", type=click.IntRange(16, 1024), default=64, show_default=True, help="Input side in pixels.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Images a step.")
@json_option
@click.pass_obj
def train_command(
    context: Context, architecture: str, epochs: int, seed: int, side: int, batch_size: int, as_json: bool
) -> None:
    """Train an encoder on the library; an interrupted training of the same kind goes on where it was."""
    from cbmir.services.train import TrainingRequest, train

    request = TrainingRequest(architecture=architecture, epochs=epochs, seed=seed, side=side, batch_size=batch_size)
    with context.progress("train") as progress:
        encoder_id = train(context.database, context.settings, request, progress)
    with context.database.read() as session:
        report = _row(encoders.get(session, encoder_id), 0)
    if as_json:
        print_json(report)
        return
    click.echo(f"{encoder_id} is trained. Now: cbmir extract")


@click.command("extract")
@click.option("--encoder", "encoder_id", metavar="ID", help="Which; the newest if left out.")
@json_option
@click.pass_obj
def extract_command(context: Context, encoder_id: str | None, as_json: bool) -> int:
    """Compute the features of all pictures that have none yet."""
    from cbmir.services.extract import extract
    from cbmir.services.index_files import keep_up
    from cbmir.services.outdated import REMEDY

    with context.progress("extract") as progress:
        report = extract(context.database, context.settings, encoder_id, progress)
    keep_up(context.database, context.settings, report["encoder"])
    if report["outdated"]:
        old = f"{report['outdated']:,} features are of pictures that are made otherwise today."
        click.echo(f"cbmir: {old} {REMEDY}", err=True)
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{report['extracted']:,} extracted, {report['already']:,} there already, {report['failed']:,} failed."
        )
    return 1 if report["failed"] else 0


@click.command("encoders")
@json_option
@click.pass_obj
def encoders_command(context: Context, as_json: bool) -> None:
    """List the trained encoders, newest first."""
    from cbmir.services import outdated

    with context.database.read() as session:
        rows = [
            _row(row, features.count(session, row.id), outdated.count(session, row.id, context.settings))
            for row in encoders.listing(session)
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        old = f" ({row['outdated']:,} outdated)" if row["outdated"] else ""
        click.echo(
            f"{row['encoder']}  {row['dimension']} numbers  {row['features']:,} features{old}  {row['created_at']}"
        )
    if any(row["outdated"] for row in rows):
        click.echo(
            f"cbmir: outdated features are of pictures that are made otherwise today. {outdated.REMEDY}", err=True
        )
    if not rows:
        click.echo("No encoder yet: cbmir train")


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
