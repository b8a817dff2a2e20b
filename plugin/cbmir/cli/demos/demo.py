"""`cbmir demo`: the whole of cbmir on patients that nobody is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from cbmir.cli.context import Context
from cbmir.cli.demos.steps import walk
from cbmir.phantoms.archive import PATIENTS
from cbmir.settings import Settings

FOLDER = Path(".demo")
EPOCHS = 6


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="End after the last step instead of serving the result.")
@click.option("--port", type=click.IntRange(1, 65535), help="TCP port of the web; 8000 by default.")
@click.option("--patients", type=click.IntRange(3), default=PATIENTS, show_default=True, help="Drawn of each kind.")
@click.option("--epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, help="Of the training.")
@click.pass_context
def demo_command(call: click.Context, no_serve: bool, port: int | None, patients: int, epochs: int) -> int:
    """Draw a small archive, ingest, train, extract, evaluate, query - and serve the result.

    Everything lies in the folder .demo, unless --data names another; what is done there already is not done again.
    Ends with status 1 if a step's result is not what it should be.
    """
    from cbmir.cli.demos.tour import Tour

    context = _own_folder(call.obj)
    tour = Tour(context, patients, epochs)
    steps = {
        "Draw an archive": tour.draw,
        "Ingest it": tour.take_in,
        "Train the autoencoder": tour.train,
        "Extract features": tour.extract,
        "Evaluate": tour.evaluate,
        "Query": tour.ask,
    }
    fine = walk(context, steps)
    if not fine or no_serve:
        return 0 if fine else 1
    return _serve(call, context, port)


def _own_folder(context: Context) -> Context:
    """The context with the demo's own folder, where none was chosen."""
    if context.settings.data != Settings.data:
        return context
    return Context(replace(context.settings, data=FOLDER))


def _serve(call: click.Context, context: Context, port: int | None) -> int:
    """Hand over to `cbmir up`, which another room brings."""
    root = call.find_root()
    command = root.command
    up = command.get_command(root, "up") if isinstance(command, click.Group) else None
    if up is None:
        raise click.UsageError("`cbmir up` is not installed; end with --no-serve.")
    click.echo(f"Next time alone: cbmir up --data {context.settings.data}. Ctrl-C ends.")
    root.obj = context
    with root.scope(), click.Context(up, parent=root, obj=context) as serving:
        serving.invoke(up, host=None, port=port)
    return 0
