"""`cbmir explain`: why is this image similar to that one? Services are imported when the command runs."""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image

from cbmir.cli.context import Context, json_option, print_json
from cbmir.cli.retrieval import subject_named
from cbmir.errors import NotFound
from cbmir.files import write_whole
from cbmir.services.retrieval.explaining.drawing import overlay, png, sheet, strongest
from cbmir.services.retrieval.explaining.explain import Explained


def _png(_call: click.Context, _option: click.Parameter, path: Path) -> Path:
    """The path, if its name says what is written there."""
    if path.suffix.lower() != ".png":
        raise click.BadParameter(f"a PNG is written; name it so: {path.with_suffix('.png').name}")
    return path


@click.command("explain")
@click.argument("subject", metavar="QUERY")
@click.argument("hit", metavar="HIT")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    callback=_png,
    help="PNG file to write.",
)
@click.option("--encoder", "encoder_id", metavar="ID", help="Whose view; the one in use if left out.")
@click.option("--frame", "frame_number", type=click.IntRange(1), help="Frame of a multi-frame query, from 1.")
@json_option
@click.pass_obj
def explain_command(
    context: Context,
    subject: str,
    hit: str,
    out: Path,
    encoder_id: str | None,
    frame_number: int | None,
    as_json: bool,
) -> None:
    """Draw what makes two images alike: QUERY, a file or a SOP Instance UID, and HIT, an image of the library, by
    its SOP Instance UID or the frame_id that `cbmir query --json` gives.

    Orange: where covering the image makes the two less alike. Blue: where it makes them more alike. It shows what
    the encoder looks at, not what a finding is.
    """
    from cbmir.services.conversion.isolation import Isolation
    from cbmir.services.retrieval.explaining.explain import explain_question
    from cbmir.services.retrieval.retrieve import Question

    question = Question(encoder_id=encoder_id, frame_number=frame_number, **subject_named(subject))
    with Isolation(1) as isolation:
        found = explain_question(context.database, context.settings, question, _image(hit), isolation)
    write_whole(out, png(_drawn(found)))
    if as_json:
        print_json(found.as_json())
    else:
        click.echo(f"{out}: distance {found.maps.distance:.4f} to {found.hit_name}")
        click.echo(f"The query: {found.maps.query.deleted.said}")
        click.echo(f"The hit: {found.maps.hit.deleted.said}")


def _image(hit: str) -> int | str:
    if hit.isdigit():
        return int(hit)
    if all(part.isdigit() for part in hit.split(".")):
        return hit
    raise NotFound(f"{hit} is neither a SOP Instance UID nor a frame's id.", "See `cbmir query --json`.")


def _drawn(found: Explained) -> Image.Image:
    """The query and the hit, each as it is, with its map over it and, where there is one, its reconstruction."""
    scale = strongest(found.maps.query.drive, found.maps.hit.drive)
    rows = []
    for name, pixels, half in (("query", found.query, found.maps.query), ("hit", found.hit, found.maps.hit)):
        row = [
            (name, Image.fromarray(pixels)),
            (f"{name}: orange makes them alike, blue less so", overlay(pixels, half.drive, scale)),
        ]
        if half.reconstruction is not None:
            row.append((f"{name}: what the encoder keeps", Image.fromarray(half.reconstruction)))
        rows.append(row)
    return sheet(rows)
