"""What every subcommand is given, and how it reports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

import click
import orjson

from cbmir.cli.bar import Bar
from cbmir.errors import DatabaseUnavailable
from cbmir.settings import Settings
from cbmir.store.session import Database


class Interrupted(click.ClickException):
    """Somebody broke a command off of which something is kept."""

    exit_code = 130

    def show(self, file: Any = None) -> None:
        """As every complaint of the command line."""
        click.echo(f"cbmir: interrupted. {self.format_message()}", err=True)


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Work that an interrupt breaks off, of which this much is kept, in words that say how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(what) from error


class Context:
    """What every subcommand is given: the settings of this call, and the database when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """The installation's database; an embedded one is made and brought up to date by itself.

        Raises:
            cbmir.errors.BadRequest: if it was filled under another secret key.
        """
        database = self._opened()
        with suppress(DatabaseUnavailable):  # the web starts without one; whoever asks it is told
            _hook("check-key")(database, self.settings)
        return database

    def accept_key(self) -> None:
        """Let the present secret key be that of the database."""
        _hook("accept-key")(self._opened(), self.settings)

    def _opened(self) -> Database:
        if not self.settings.database_url:
            self.settings.data.mkdir(parents=True, exist_ok=True)
            _hook("upgrade")(self.settings.resolved_database_url)
            self.furnish()
        return Database(self.settings.resolved_database_url)

    def furnish(self) -> None:
        """Give a database that is up to date what every installation has from the first minute: an encoder.

        An embedded one gets it by itself; any other when it is brought up to date.
        """
        database = Database(self.settings.resolved_database_url)
        _hook("furnish")(database)
        database.dispose()

    def agreed(self, question: str) -> bool:
        """Whether somebody says yes.

        Raises:
            click.UsageError: if nobody can be asked, as in a script.
            click.Abort: if somebody breaks off.
        """
        try:
            if sys.stdin is not None:  # None where it was closed
                return click.confirm(question, err=True)
        except click.Abort:
            if sys.stdin.isatty():
                raise
        raise click.UsageError("It asks before, and nobody is there to answer: nothing is done. Give --yes.")

    def progress(self, title: str) -> Bar:
        """A progress bar on a terminal, a line an epoch in a log; a context manager."""
        return Bar(title)


def _hook(name: str) -> Callable[..., object]:
    (found,) = entry_points(group="cbmir.database", name=name)
    hook: Callable[..., object] = found.load()
    return hook


def print_json(document: Any) -> None:
    """Print one JSON document, for programs to read."""
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


json_option = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
"""For a command that reports."""
