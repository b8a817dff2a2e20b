"""`cbmir ingest` and `cbmir quarantine`: what goes into the library, and what was set aside."""

from __future__ import annotations

from pathlib import Path

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.errors import CbmirError
from cbmir.services.ingest import Ingested, ingest
from cbmir.store import quarantine
from cbmir.store.tables import Quarantined


@click.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option(
    "--labels",
    metavar="folder|FILE.csv",
    help="Labels from folder names, or from a manifest with the columns path, modality, subclass, group.",
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
    click.echo(f"cbmir: {origin}: {error.sentence}", err=True)


def _print_counts(counts: Ingested) -> None:
    click.echo(
        f"{counts.ingested:,} ingested, {counts.duplicates:,} known already, "
        f"{counts.quarantined:,} set aside, {counts.failed:,} failed."
    )
    if counts.quarantined:
        click.echo("Reasons and remedies: cbmir quarantine")


@click.command("quarantine")
@json_option
@click.pass_obj
def quarantine_command(context: Context, as_json: bool) -> None:
    """List what was set aside, with the reason and the remedy."""
    with context.database.read() as session:
        rows = quarantine.listing(session, limit=None)
    if as_json:
        print_json([_row(row) for row in rows])
        return
    for row in rows:
        click.echo(f"{row.origin or row.file_name}: {row.reason} {row.remedy}")
    click.echo(f"{len(rows):,} set aside.")


def _row(row: Quarantined) -> dict[str, str]:
    return {
        "file_name": row.file_name,
        "origin": row.origin,
        "sha256": row.sha256,
        "code": row.code,
        "reason": row.reason,
        "remedy": row.remedy,
        "created_at": row.created_at.isoformat(),
    }
