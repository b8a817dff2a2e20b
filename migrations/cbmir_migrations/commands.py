"""`cbmir db`: the database's schema, brought up to date or checked, and the key that belongs to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cbmir_migrations.schema import State, state, upgrade

if TYPE_CHECKING:
    from cbmir.cli.context import Context

VERDICTS = {
    State.MISSING: "The database has no tables yet. Run `cbmir db upgrade`.",
    State.BEHIND: "The database is older than this version of cbmir. Run `cbmir db upgrade`.",
    State.CURRENT: "The database is up to date.",
    State.AHEAD: "The database was made by a newer cbmir. Install that version, or take another database.",
}

COSTS_OF_A_KEY = (
    "Known patients will be taken for others when more of them comes, and archives need their passwords again. "
    "Accept the present secret key?"
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a sentence.")


@click.group()
def db() -> None:
    """The database's schema, and the key that belongs to it."""


@db.command("upgrade")
@as_json
@click.pass_obj
def upgrade_command(context: Context, as_json: bool) -> None:
    """Bring the database up to date; does nothing where it is."""
    upgrade(context.settings.resolved_database_url)
    context.furnish()
    _tell(State.CURRENT, as_json)


@db.command("check")
@as_json
@click.pass_context
def check_command(context: click.Context, as_json: bool) -> None:
    """Say whether the database is up to date; exit status 1 where it is not."""
    found = state(context.obj.settings.resolved_database_url)
    _tell(found, as_json)
    context.exit(0 if found == State.CURRENT else 1)


@db.command("accept-key")
@click.option("--yes", is_flag=True, help="Do not ask before.")
@click.pass_obj
def accept_key_command(context: Context, yes: bool) -> int:
    """Take the present secret key for the database's, where the former one is lost."""
    if not yes and not context.agreed(COSTS_OF_A_KEY):
        click.echo("cbmir: the key is not accepted.", err=True)
        return 1
    context.accept_key()
    click.echo("The present secret key is the database's from now on.")
    return 0


def _tell(found: State, as_json: bool) -> None:
    """Print the verdict: on standard error where something must be done, unless JSON is wanted."""
    if as_json:
        click.echo(json.dumps({"schema": found.value, "message": VERDICTS[found]}))
    else:
        click.echo(VERDICTS[found], err=found != State.CURRENT)
