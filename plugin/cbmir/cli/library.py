"""`cbmir ingest`: what goes into the library."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.errors import CbmirError
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.ingestion.run import Ingested


@click.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option(
    "--labels",
    metavar="folder|FILE.csv",
    help="Labels from folder names, or from a manifest with the columns path, modality, subclass, source, group.",
)
@json_option
@click.pass_obj
def ingest_command(context: Context, paths: tuple[Path, ...], labels: str | None, as_json: bool) -> int:
    """Take in files, folders, zips and DICOMDIRs: DICOM by content, and PNG, JPEG, TIFF and BMP.

    What cannot be used is set aside with its reason; the rest goes on. Ends with status 1 if a file could not be
    read at all.
    """
    with context.progress("ingest") as progress:
        counts = ingest(context.database, context.settings, paths, labels, progress, _complain)
    if as_json:
        print_json(counts.as_json())
    else:
        _print_counts(counts)
    return 1 if counts.failed else 0


def _complain(origin: str, error: CbmirError) -> None:
    click.echo(f"cbmir: {_told(origin, error.sentence)}", err=True)


def _told(origin: str, sentence: str) -> str:
    """The sentence with the whole path in the place of the file's name where it begins with that."""
    parts = PurePosixPath(origin).parts
    for name in ("/".join(parts[first:]) for first in range(len(parts))):
        if sentence.startswith(f"{name} "):
            return f"{origin}{sentence.removeprefix(name)}"
    return f"{origin}: {sentence}"


def _print_counts(counts: Ingested) -> None:
    click.echo(
        f"{counts.ingested:,} ingested, {counts.duplicates:,} known already, "
        f"{counts.quarantined:,} set aside, {counts.failed:,} failed."
    )
    if counts.quarantined:
        click.echo("Reasons and remedies: cbmir quarantine")
