"""What every subcommand is given, and how it reports."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

import click
import orjson

from cbmir.cli.bar import Bar
from cbmir.settings import Settings
from cbmir.store.session import Database


class Context:
    """What every subcommand is given: the settings of this call, and the database when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """The installation's database; an embedded one is made and brought up to date by itself."""
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

    def progress(self, title: str) -> Bar:
        """A progress bar on a terminal, silence in a pipe; a context manager."""
        return Bar(title)


def _hook(name: str) -> Callable[[Any], object]:
    (found,) = entry_points(group="cbmir.database", name=name)
    hook: Callable[[Any], object] = found.load()
    return hook


def print_json(document: Any) -> None:
    """Print one JSON document, for programs to read."""
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


def json_option(command: Any) -> Any:
    """Adds `--json` to a command that reports."""
    return click.option("--json", "as_json", is_flag=True, help="Report as JSON.")(command)
