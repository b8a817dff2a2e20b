"""`cbmir export` and `cbmir import`: features and labels as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.files import written_whole
from cbmir.services.features.export import export_json, import_json


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE.json")
@click.option("--encoder", "encoder_id", metavar="ID", help="Whose features; the one in use if left out.")
@json_option
@click.pass_obj
def export_command(context: Context, file: Path, encoder_id: str | None, as_json: bool) -> None:
    """Write the features and labels of one encoder to FILE.json; a feature is patient data, so mind where."""
    if not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}; make it first", param_hint="FILE.json")
    with context.progress("export") as progress, written_whole(file) as out:
        report = export_json(context.database, encoder_id, out.write, progress)
    _report(report, as_json)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.json")
@json_option
@click.pass_obj
def import_command(context: Context, file: Path, as_json: bool) -> None:
    """Read features and labels that `cbmir export` wrote."""
    with context.progress("import") as progress, file.open("rb") as source:
        report = import_json(context.database, context.settings, source, progress)
    _report(report, as_json)


def _report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        click.echo(
            ", ".join(
                f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}"
                for name, value in report.items()
            )
        )
