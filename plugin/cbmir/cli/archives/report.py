"""`cbmir archive report` and `cbmir archive teach`. Services are imported when a command runs."""

from __future__ import annotations

from pathlib import Path

import click

from cbmir.cli.context import Context
from cbmir.store import archives


@click.command("report")
@click.argument("query_id", metavar="QUERY_ID")
@click.option("--to", "name", required=True, metavar="NAME", help="Archive that has the image asked about.")
@click.option("--kos", is_flag=True, help="A key object selection.")
@click.option("--sr", is_flag=True, help="A structured report. Both, if neither is named.")
@click.option(
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the documents there instead of sending them.",
)
@click.pass_obj
def report_command(context: Context, query_id: str, name: str, kos: bool, sr: bool, folder: Path | None) -> None:
    """Store a kept query's answer in an archive, in the study of the image asked about.

    The documents name the hits' objects, of other patients too, by their UIDs alone.
    """
    from cbmir.services.archives.registered import opened
    from cbmir.services.reporting.results import BOTH, DocumentKind, send_results, write_results

    kinds = {kind for kind, wanted in ((DocumentKind.KOS, kos), (DocumentKind.SR, sr)) if wanted} or BOTH
    with opened(context.database, context.settings, name) as archive:
        if folder is None:
            results = send_results(context.database, context.settings, query_id, archive, kinds)
        else:
            results = write_results(context.database, context.settings, query_id, archive, folder, kinds)
    _complain(results.left_out)
    for kind, uid in results.documents.items():
        click.echo(f"{kind}  {uid}  {results.hits} hits")


@click.command("teach")
@click.argument("query_id", metavar="QUERY_ID")
@click.option("--from", "name", metavar="NAME", help="Archive that has the images; needed if there are several.")
@click.option(
    "-o",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE.zip|FOLDER",
    help="Where the teaching file is written: a zip, which is replaced, or a new folder.",
)
@click.option("--hits", "ranks", metavar="RANKS", help="Which hits, such as 1,3; all if left out.")
@click.option("--title", default="", help="Of the case.")
@click.option("--abstract", default="", help="What is worth learning from it.")
@click.option("--with-burned-in", is_flag=True, help="Also images in whose pixels text may stand.")
@click.pass_obj
def teach_command(
    context: Context,
    query_id: str,
    name: str | None,
    target: Path,
    ranks: str | None,
    title: str,
    abstract: str,
    with_burned_in: bool,
) -> None:
    """Export a kept query's image and hits as de-identified copies with a manifest.

    Look at the images before you pass them on: text in pixels, and faces, are not removed.
    """
    from cbmir.services.archives.registered import opened
    from cbmir.services.reporting.teaching import Choice, export_teaching_file

    choice = Choice(_ranks(ranks), title, abstract, with_burned_in)
    with opened(context.database, context.settings, name or _only(context)) as archive:
        made = export_teaching_file(context.database, context.settings, query_id, archive, target, choice)
    _complain(made.left_out)
    click.echo(f"{len({each.sop_instance_uid for each in made.copies})} images and a manifest: {target}")


def _only(context: Context) -> str:
    """The name of the one archive that there is."""
    with context.database.read() as session:
        names = [each.name for each in archives.listing(session)]
    if len(names) != 1:
        raise click.UsageError(f"There are {len(names)} archives: name the one that has the images with --from.")
    return names[0]


def _ranks(ranks: str | None) -> frozenset[int] | None:
    if ranks is None:
        return None
    parts = ranks.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"{ranks} is no list of ranks such as 1,3.", param_hint="--hits")
    return frozenset(map(int, parts))


def _complain(left_out: tuple[str, ...]) -> None:
    for sentence in left_out:
        click.echo(f"cbmir: {sentence}", err=True)
