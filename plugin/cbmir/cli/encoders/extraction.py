"""`cbmir extract`."""

from __future__ import annotations

import click

from cbmir.cli.context import Context, json_option, print_json


@click.command("extract")
@click.option("--encoder", "encoder_id", metavar="ID", help="Which; all that are kept if left out.")
@json_option
@click.pass_obj
def extract_command(context: Context, encoder_id: str | None, as_json: bool) -> int:
    """Compute the features of all pictures that have none yet."""
    from cbmir.services.conversion.outdated import REMEDY
    from cbmir.services.encoders.versions.keeping import extract_kept
    from cbmir.services.features.extract import extract
    from cbmir.services.retrieval.confidence.calibrate import refresh
    from cbmir.services.retrieval.indexes.index_files import keep_up

    with context.progress("extract") as progress:
        if encoder_id is None:
            report = extract_kept(context.database, context.settings, progress)
        else:
            report = extract(context.database, context.settings, encoder_id, progress)
        reports = [report, *report.get("beside", [])]
        for each in reports:
            refresh(context.database, context.settings, each["encoder"], progress)
            keep_up(context.database, context.settings, each["encoder"])
    if report["outdated"]:
        old = f"{report['outdated']:,} features are of pictures that are made otherwise today."
        click.echo(f"cbmir: {old} {REMEDY}", err=True)
    if as_json:
        print_json(report)
    else:
        for each in reports:
            which = f"{each['encoder']}: " if len(reports) > 1 else ""
            counts = (
                f"{each['extracted']:,} extracted, {each['already']:,} there already, {each['failed']:,} failed."
            )
            click.echo(f"{which}{counts}")
    return 1 if any(each["failed"] for each in reports) else 0
