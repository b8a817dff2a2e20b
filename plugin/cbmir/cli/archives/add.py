"""`cbmir archive add`: how an archive is reached, and what of it is wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cbmir.archive.base import Check
from cbmir.archive.connection import RULE_DAYS, RULE_LISTS, ArchiveKind, Connection, Retrieval
from cbmir.cli.context import Context
from cbmir.errors import ArchiveUnavailable, BadRequest

SECRET_FILE = click.Path(dir_okay=False, allow_dash=True)
EXISTING = click.Path(exists=True, dir_okay=False, resolve_path=True)
DAY = click.DateTime(formats=["%Y-%m-%d", "%Y%m%d"])

RECHECK = "Fetch each study again within so many days, where the archive has no digests; 0 is never."

OPTIONS = (
    click.option("--kind", type=click.Choice([kind.value for kind in ArchiveKind]), help="Found out by itself."),
    click.option("--username", default="", help="For HTTP Basic; its password is asked for, or in a file."),
    click.option("--password-file", type=SECRET_FILE, help="- is standard input; or set CBMIR_ARCHIVE_PASSWORD."),
    click.option("--token-file", type=SECRET_FILE, help="A bearer token."),
    click.option("--token-url", default="", help="OAuth2: where client credentials give a token."),
    click.option("--client-id", default="", help="OAuth2."),
    click.option("--client-secret-file", type=SECRET_FILE, help="OAuth2."),
    click.option("--scope", default="", help="OAuth2."),
    click.option("--ca", "authority", type=EXISTING, default=None, help="PEM of the authority that signed it."),
    click.option("--certificate", type=EXISTING, default=None, help="PEM of our own certificate."),
    click.option("--key", type=EXISTING, default=None, help="PEM of its private key."),
    click.option("--tls/--no-tls", default=False, help="Encrypt DIMSE associations."),
    click.option("--calling-aet", default="CBMIR", show_default=True, help="Our AE title."),
    click.option("--retrieve", type=click.Choice([each.value for each in Retrieval]), default="get"),
    click.option("--move-aet", default="CBMIR", show_default=True, help="AE title that a C-MOVE names."),
    click.option("--move-port", type=click.IntRange(1, 65535), default=11113, show_default=True),
    click.option("--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at once."),
    click.option("--rate", "requests_per_second", type=click.FloatRange(0), default=0.0, help="0 is no limit."),
    click.option("--timeout", "timeout_seconds", type=click.FloatRange(1), default=30.0, show_default=True),
    click.option("--recheck", "recheck_days", type=click.IntRange(0), default=0, help=RECHECK),
    click.option("--viewer", default="", help="URL of a viewer with {study}, {series}, {instance} in it."),
    click.option("--modality", "modalities", multiple=True, help="Only this; may be repeated."),
    click.option("--without-modality", "without_modalities", multiple=True, help="Not this; may be repeated."),
    click.option("--body-part", "body_parts", multiple=True, help="Only this; may be repeated."),
    click.option("--since", type=DAY, help="First Study Date."),
    click.option("--until", type=DAY, help="Last Study Date."),
)

FILES = ("authority", "certificate", "key")
PLAIN = (
    "tls",
    "calling_aet",
    "retrieve",
    "move_aet",
    "move_port",
    "parallel",
    "requests_per_second",
    "timeout_seconds",
    "recheck_days",
    "viewer",
)
"""Options that go into the connection as they are."""


def with_options(command: Any) -> Any:
    """The command with the options that describe an archive."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command("add")
@click.argument("name")
@click.argument("address", metavar="URL|AE@HOST:PORT")
@with_options
@click.option("--untested", is_flag=True, help="Add it though it cannot be reached now.")
@click.pass_obj
def add_command(context: Context, /, name: str, address: str, untested: bool, **given: Any) -> int:
    """Follow an archive: an Orthanc or a DICOMweb server by its URL, any other by AE@HOST:PORT.

    It is tested first. Workers (`cbmir up`) begin to follow it within a second.
    """
    from cbmir.services.archives.check import test
    from cbmir.services.archives.registered import add, refuse_name
    from cbmir.services.archives.slips import refuse_slips

    refuse_name(context.database, name)
    connection = _connection(name, address, given)
    refuse_slips(connection)
    if not given["kind"]:
        connection = replace(connection, kind=_detected(connection))
    fine = print_checks(test(connection))
    if not untested and not fine:
        raise BadRequest(f"{name} is not added.", "Mend that, or say --untested.")
    add(context.database, context.settings, connection)
    click.echo(
        f"{name} ({connection.kind}) is followed. `cbmir archive sync {name}` fetches it now; `cbmir up` always."
    )
    return 0


def _detected(connection: Connection) -> ArchiveKind:
    from cbmir.archive.detect import detect

    try:
        return detect(connection)
    except ArchiveUnavailable as error:
        remedy = f"{error.remedy} Or say its --kind, and --untested."
        raise ArchiveUnavailable(f"{connection.name} is not added. {error.reason}", remedy) from error


def _connection(name: str, address: str, given: dict[str, Any]) -> Connection:
    options = {key: given[key] for key in PLAIN} | {key: given[key] or "" for key in FILES}
    kind = given["kind"] or ArchiveKind.DICOMWEB
    return Connection.of(name, kind, address, {**options, "rules": _rules(given)}, _credentials(given))


def print_checks(checks: Iterable[Check]) -> bool:
    """Print what was tested; True if all is well."""
    found = list(checks)
    for each in found:
        click.echo(f"{'ok ' if each.fine else 'BAD'}  {each.what}: {each.said} {each.remedy}".rstrip())
    return all(each.fine for each in found)


def _credentials(given: dict[str, Any]) -> dict[str, str]:
    return {
        "username": given["username"],
        "password": password(given["password_file"]) if given["username"] else "",
        "token": secret(given["token_file"]),
        "token_url": given["token_url"],
        "client_id": given["client_id"],
        "client_secret": secret(given["client_secret_file"]),
        "scope": given["scope"],
    }


def password(file: str | None) -> str:
    """The password: from the file, else from the environment, else asked for.

    Raises:
        cbmir.errors.BadRequest: if it is nowhere, and nobody can be asked.
    """
    if file:
        return secret(file)
    if "CBMIR_ARCHIVE_PASSWORD" in os.environ:
        return os.environ["CBMIR_ARCHIVE_PASSWORD"]
    if not sys.stdin.isatty():
        raise BadRequest("The password is missing.", "Give --password-file, or set CBMIR_ARCHIVE_PASSWORD.")
    return str(click.prompt("Password", hide_input=True))


def secret(file: str | None) -> str:
    """What stands in a file, or comes by standard input; empty without one."""
    if not file:
        return ""
    return (sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")).strip()


def _rules(given: dict[str, Any]) -> dict[str, Any]:
    return {key: codes(given[key]) for key in RULE_LISTS} | {key: day(given[key]) for key in RULE_DAYS}


def codes(given: Iterable[str]) -> tuple[str, ...]:
    """DICOM codes as they are kept."""
    return tuple(value.upper() for value in given)


def day(given: datetime | None) -> str:
    """A day as it is kept; empty without one."""
    return f"{given:%Y%m%d}" if given else ""
