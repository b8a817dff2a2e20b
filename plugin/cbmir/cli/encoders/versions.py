"""`cbmir encoders activate|back|free|calibrate`: which encoder answers, and whose features are kept."""

from __future__ import annotations

from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.progress import Silence

incomplete_option = click.option(
    "--incomplete", is_flag=True, help="Switch although some images would no longer be found."
)


@click.command("activate")
@click.argument("encoder_id", metavar="ID")
@incomplete_option
@json_option
@click.pass_obj
def activate_command(context: Context, encoder_id: str, incomplete: bool, as_json: bool) -> None:
    """Let another encoder answer, from now on and everywhere at once."""
    from cbmir.services.encoders.versions.switch import activate

    _report(activate(context.database, encoder_id, incomplete=incomplete).as_json(), as_json)
    _calibrate(context, encoder_id)


@click.command("back")
@incomplete_option
@json_option
@click.pass_obj
def back_command(context: Context, incomplete: bool, as_json: bool) -> None:
    """Let the encoder answer again that did before; once more, and it is undone."""
    from cbmir.services.encoders.versions.switch import back

    _report(back(context.database, incomplete=incomplete).as_json(), as_json)


@click.command("free")
@click.argument("encoder_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def free_command(context: Context, encoder_id: str, yes: bool, as_json: bool) -> int:
    """Delete the features of an encoder that does not answer. Its weights and evaluations stay."""
    from cbmir.services.encoders.versions.free import free, size

    with context.database.read() as session:
        told = size(session, encoder_id)
    question = f"Delete the {told['features']:,} features of {encoder_id}, {told['bytes'] / 1e6:,.1f} MB?"
    if not yes and not context.agreed(question):
        click.echo("cbmir: nothing is deleted.", err=True)
        return 1
    with context.progress("free") as progress:
        freed = free(context.database, context.settings, encoder_id, progress)
    if as_json:
        print_json({**freed, "bytes": told["bytes"]})
    else:
        click.echo(f"{freed['freed']:,} features of {encoder_id} are deleted.")
    return 0


@click.command("calibrate")
@click.argument("encoder_id", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def calibrate_command(context: Context, encoder_id: str | None, as_json: bool) -> None:
    """Measure anew how far apart the gallery's own images are: what a query's confidence is judged by."""
    from cbmir.services.retrieval.confidence.calibrate import calibrate

    with context.progress("calibrate") as progress:
        made = calibrate(context.database, context.settings, encoder_id, progress)
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['encoder']} is calibrated with {made['sample']:,} images of {made['features']:,}.")


COMMANDS = (activate_command, back_command, free_command, calibrate_command)


def _report(switched: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(switched)
        return
    if switched["before"] == switched["encoder"]:
        click.echo(f"{switched['encoder']} answers already.")
        return
    click.echo(f"{switched['encoder']} answers now." + _way_back(switched))
    if switched["lacking"]:
        click.echo(
            f"cbmir: {switched['lacking']:,} images cannot be found until `cbmir extract` has run.", err=True
        )


def _way_back(switched: dict[str, Any]) -> str:
    return f" The way back to {switched['before']}: cbmir encoders back" if switched["before"] else ""


def _calibrate(context: Context, encoder_id: str) -> None:
    from cbmir.services.retrieval.confidence.calibrate import refresh

    refresh(context.database, context.settings, encoder_id, Silence())
