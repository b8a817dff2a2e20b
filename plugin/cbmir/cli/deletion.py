"""`cbmir delete`: what goes out of the library."""

from __future__ import annotations

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.words import counted


@click.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--whole-patients", is_flag=True, help="All images of the patients of these, too.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
@json_option
@click.pass_obj
def delete_command(context: Context, names: tuple[str, ...], whole_patients: bool, yes: bool, as_json: bool) -> int:
    """Delete images, with their pictures, features and labels, the queries about them, and their place in other
    answers.

    A NAME is a SOP, series or study instance UID, the SHA-256 of a file, or a patient's pseudonym: the page of an
    image and `cbmir export` show them. What an archive that is followed holds is refused: delete it there.
    """
    from cbmir.services.ingestion.removal import named, remove

    removal = named(context.database, names, whole_patients=whole_patients)
    images = counted(len(removal.instance_ids), "image")
    what = f"Delete {images} of {counted(removal.patients, 'patient')}?"
    if not yes and not context.agreed(what):
        click.echo("cbmir: nothing is deleted.", err=True)
        return 1
    deleted = remove(context.database, context.settings, removal)
    if as_json:
        print_json({**removal.as_json(), "deleted": deleted})
    else:
        click.echo(f"{counted(deleted, 'image')} deleted. Whoever ingests them again has them back.")
    return 0
