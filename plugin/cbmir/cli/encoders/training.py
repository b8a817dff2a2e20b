"""`cbmir train`."""

from __future__ import annotations

import click

from cbmir.cli.context import Context, json_option, keeping, print_json
from cbmir.cli.encoders.row import as_row
from cbmir.progress import Silence
from cbmir.store import encoders
from cbmir.training.request import TRAINABLE, lone_labels

KEPT = (
    "Epochs that were done are kept: the same command goes on after them while the images and labels are the same."
)


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
    with keeping(KEPT), team() as members, context.progress("train") as bar:
        progress = bar if members.is_first else Silence()
        encoder_id = train(context.database, context.settings, request, progress, team=members)
        if not members.is_first:
            return
    with context.database.read() as session:
        report = as_row(encoders.get(session, encoder_id), 0)
        in_use = encoders.resolve(session, None).id
    if lone := lone_labels(report["training"]):
        click.echo(f"cbmir: of one image alone nothing general is learnt: {', '.join(lone)}. Add more.", err=True)
    if as_json:
        print_json(report)
        return
    click.echo(f"{encoder_id} is trained. Now: cbmir extract{_then(in_use, encoder_id)}")


def _then(in_use: str, encoder_id: str) -> str:
    return "" if in_use == encoder_id else f"; then, to let it answer: cbmir encoders activate {encoder_id}"
