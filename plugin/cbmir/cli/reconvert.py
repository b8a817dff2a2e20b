"""`cbmir reconvert`: pictures that an earlier conversion made are made again."""

from __future__ import annotations

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.errors import CbmirError
from cbmir.services.ingestion.again.dating import Dated, date_again
from cbmir.services.ingestion.again.from_archives import HOW
from cbmir.services.ingestion.again.reconvert import Reconverted, reconvert


@click.command("reconvert")
@click.option("--dates", is_flag=True, help="Read the study date, too, of objects of which none is known.")
@json_option
@click.pass_obj
def reconvert_command(context: Context, dates: bool, as_json: bool) -> int:
    """Make the pictures again that an earlier version's conversion made, from the files where they came from.

    What is no longer there keeps its old pictures, until it is ingested again. Ends with status 1 if a file could
    not be converted or read any more.
    """
    reasons: list[dict[str, str]] = []

    def complain(file_name: str, error: CbmirError) -> None:
        reasons.append({"file_name": file_name, **error.as_json()})
        click.echo(f"cbmir: {file_name}: {error.sentence}", err=True)

    with context.progress("reconvert") as progress:
        counts = reconvert(context.database, context.settings, progress, complain)
    dated = None
    if dates:
        with context.progress("dates") as progress:
            dated = date_again(context.database, context.settings, progress, complain)
    if as_json:
        print_json({**counts.as_json(), **({"dates": dated.as_json()} if dated else {}), "reasons": reasons})
    else:
        _print_counts(counts)
        _print_dated(dated)
    return 1 if counts.failed or (dated and dated.failed) else 0


def _print_counts(counts: Reconverted) -> None:
    click.echo(
        f"{counts.renewed:,} renewed, {counts.asked:,} to be fetched again, {counts.gone:,} no longer where they "
        f"were, {counts.failed:,} failed."
    )
    if counts.asked:
        click.echo(HOW)
    if counts.renewed:
        click.echo("Now their features: cbmir extract")


def _print_dated(counts: Dated | None) -> None:
    if counts is None:
        return
    click.echo(
        f"Study dates: {counts.dated:,} read, {counts.dateless:,} not in the header, {counts.gone:,} no longer "
        f"where they were, {counts.failed:,} failed."
    )
    if counts.archived:
        click.echo(f"{counts.archived:,} are an archive's: `cbmir archive sync NAME` asks it for their dates.")
