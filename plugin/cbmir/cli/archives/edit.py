"""`cbmir archive edit`: an archive is reached in another way, or other objects of it are wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from cbmir.archive.connection import RULE_DAYS, RULE_LISTS, Connection
from cbmir.cli.archives.add import (
    FILES,
    PLAIN,
    codes,
    day,
    password,
    print_checks,
    secret,
    with_options,
)
from cbmir.cli.context import Context
from cbmir.errors import BadRequest

CLEARED: dict[str, dict[str, Any]] = {
    "modality": {"modalities": ()},
    "without-modality": {"without_modalities": ()},
    "body-part": {"body_parts": ()},
    "since": {"since": ""},
    "until": {"until": ""},
    "viewer": {"viewer": ""},
    "ca": {"authority": ""},
    "certificate": {"certificate": "", "key": ""},
    "credentials": dict.fromkeys(
        ("username", "password", "token", "token_url", "client_id", "client_secret", "scope"), ""
    ),
}
"""What `--clear` sets back."""

SECRET_FILES = {"token_file": "token", "client_secret_file": "client_secret"}
SAME = ("kind", "address", "username", "token_url", "client_id", "scope", *FILES, *PLAIN)
"""Options that are fields of the connection or its credentials as they are given."""


@click.command("edit")
@click.argument("name")
@click.option("--address", metavar="URL|AE@HOST:PORT", help="Where it is now.")
@with_options
@click.option("--clear", multiple=True, type=click.Choice(list(CLEARED)), help="Set this back; may be repeated.")
@click.option("--drop-unmatched", is_flag=True, help="Delete here what came from it and is not wanted any more.")
@click.option("--untested", is_flag=True, help="Edit it though it cannot be reached so now.")
@click.pass_context
def edit_command(
    call: click.Context, /, name: str, drop_unmatched: bool, untested: bool, clear: tuple[str, ...], **given: Any
) -> int:
    """Change how an archive is reached, and what of it is wanted: what is not given stays as it is.

    It is tested first where it would be reached in another way. With other rules it is compared as a whole: what is
    wanted now comes in; what is not wanted any more stays, and is followed, unless you say --drop-unmatched.
    """
    from cbmir.services.archives.check import test
    from cbmir.services.archives.editing import apply, planned

    context: Context = call.obj
    said = {key: value for key, value in given.items() if _is_given(call, key)}
    changes = _changes(said) | {key: value for each in clear for key, value in CLEARED[each].items()}
    edit = planned(context.database, context.settings, name, changes)
    if "address" in edit.changed and "kind" not in changes and not untested:
        edit = replace(edit, after=_detected(edit.after))
    if edit.reaches_otherwise and not untested and not print_checks(test(edit.after)):
        raise BadRequest(f"{name} is not edited.", "Mend that, or say --untested.")
    apply(context.database, context.settings, edit, drop_unmatched=drop_unmatched)
    click.echo(
        f"{name} is edited: {', '.join(edit.changed)}." if edit.changed else f"Nothing of {name} is changed."
    )
    if drop_unmatched:
        click.echo("What is not wanted any more is deleted here by the next comparison.")
    elif edit.after.rules != edit.before.rules:
        click.echo("What is wanted now comes in; what is not any more stays, until you say --drop-unmatched.")
    return 0


def _is_given(call: click.Context, key: str) -> bool:
    return call.get_parameter_source(key) is ParameterSource.COMMANDLINE


def _detected(connection: Connection) -> Connection:
    from cbmir.archive.detect import detect

    return replace(connection, kind=detect(connection))


def _changes(said: dict[str, Any]) -> dict[str, Any]:
    """The fields that the options given set."""
    changes = {key: said[key] for key in SAME if key in said}
    changes |= {key: codes(said[key]) for key in RULE_LISTS if key in said}
    changes |= {key: day(said[key]) for key in RULE_DAYS if key in said}
    changes |= {field: secret(said[option]) for option, field in SECRET_FILES.items() if option in said}
    if said.get("username") or "password_file" in said:
        changes["password"] = password(said.get("password_file"))
    return changes


for parameter in edit_command.params:
    if isinstance(parameter, click.Option):
        parameter.show_default = False  # what is not given stays: the defaults are those of `add`
