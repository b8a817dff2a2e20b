"""`cbmir encoders release`: for who makes a new version of cbmir."""

from __future__ import annotations

from pathlib import Path

import click

from cbmir.cli.context import Context, json_option, print_json


@click.command("release")
@click.argument("encoder_id", metavar="ID")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
@click.pass_obj
def release_command(context: Context, encoder_id: str, folder: Path, as_json: bool) -> None:
    """Write an encoder as the files that come with cbmir: weights, description, and hashes of its pictures.

    FOLDER is plugin/cbmir/encoders of a checkout, or any other. The installation must hold the pictures that the
    encoder was trained on.
    """
    from cbmir.services.encoders.releasing import release

    paths = release(context.database, context.settings, encoder_id, folder)
    if as_json:
        print_json({"encoder": encoder_id, "files": [str(path) for path in paths]})
    else:
        click.echo("\n".join(f"{path} is written." for path in paths))
