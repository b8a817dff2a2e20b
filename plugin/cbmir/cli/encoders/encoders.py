"""`cbmir encoders`: the list of them, and where its subcommands come together."""

from __future__ import annotations

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.cli.encoders.adding import adapt_command, add_command, quantise_command
from cbmir.cli.encoders.releasing import release_command
from cbmir.cli.encoders.row import as_row
from cbmir.cli.encoders.versions import COMMANDS


@click.group("encoders", invoke_without_command=True)
@json_option
@click.pass_context
def encoders_command(ctx: click.Context, as_json: bool) -> None:
    """List the encoders, the one in use first; or add one, say which answers, and whose features are kept."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json)


for command in (add_command, adapt_command, quantise_command, *COMMANDS, release_command):
    encoders_command.add_command(command)


@encoders_command.command("list")
@json_option
@click.pass_obj
def list_command(context: Context, as_json: bool) -> None:
    """List the encoders, the one in use first."""
    _list(context, as_json)


def _list(context: Context, as_json: bool) -> None:
    from cbmir.services.conversion import outdated
    from cbmir.services.encoders.versions.overview import versions

    with context.database.read() as session:
        rows = [
            {
                **as_row(each.encoder, each.features, outdated.count(session, each.encoder.id, context.settings)),
                "state": each.state.value,
                "missing": each.missing,
                "bytes": each.bytes,
            }
            for each in versions(session)
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        old = f" ({row['outdated']:,} outdated)" if row["outdated"] else ""
        lacks = f", {row['missing']:,} missing" if row["missing"] else ""
        click.echo(
            f"{row['encoder']}  {row['state']}  {row['dimension']} numbers  "
            f"{row['features']:,} features{old}{lacks}  {row['created_at']}"
        )
    if any(row["outdated"] for row in rows):
        click.echo(
            f"cbmir: outdated features are of pictures that are made otherwise today. {outdated.REMEDY}", err=True
        )
    if not rows:
        click.echo("No encoder yet: cbmir train")
