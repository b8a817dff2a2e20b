"""`cbmir`: the command group, what every subcommand is given, and the last word on errors."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from cbmir import __version__
from cbmir.cli.context import Context
from cbmir.errors import CbmirError
from cbmir.settings import Settings
from cbmir.unforeseen import tell_places_only

OWN = {
    "convert": "convert",
    "ingest": "library",
    "delete": "deletion",
    "quarantine": "quarantine",
    "export": "exchange",
    "import": "exchange",
    "jobs": "jobs",
    "train": "encoders.training",
    "extract": "encoders.extraction",
    "encoders": "encoders.encoders",
    "query": "retrieval",
    "explain": "explanation",
    "evaluate": "evaluation",
    "demo": "demos.demo",
    "demo-pacs": "demos.demo_pacs",
    "reconvert": "reconvert",
    "reproduce": "reproduce",
    "archive": "archives.archive",
    "index": "index",
}
"""The library's subcommands and the module of each."""


class OpenGroup(click.Group):
    """The library's own subcommands and, by the entry-point group `cbmir.commands`, those of the other rooms.

    None is imported before it is used. Each takes the options of the installation too, so that they may stand
    before or behind its name.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*OWN, *entry_points(group="cbmir.commands").names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OWN:
            module = import_module(f"cbmir.cli.{OWN[cmd_name]}")
            return _with_installation(getattr(module, f"{cmd_name.replace('-', '_')}_command"))
        for found in entry_points(group="cbmir.commands", name=cmd_name):
            return _with_installation(found.load())
        return None


def _installation_options() -> list[click.Parameter]:
    folder = click.Path(file_okay=False, path_type=Path)
    database, broker = (
        "PostgreSQL instead of the embedded SQLite.",
        "A Redis of your own instead of the embedded one.",
    )
    return [
        _option(["--data", "data"], type=folder, metavar="DIR", help="Folder of the installation."),
        _option(["--database", "database_url"], metavar="URL", help=database),
        _option(["--broker", "broker_url"], metavar="URL", help=broker),
    ]


def _option(names: list[str], **how: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_choose, **how)


def _choose(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if ctx.obj is None:
        ctx.obj = Context(Settings.from_environment())
    if value is not None:
        ctx.obj = Context(replace(ctx.obj.settings, **{str(option.name): value}))


def _with_installation(command: click.Command) -> click.Command:
    if not any(each.name == "data" for each in command.params):
        command.params.extend(_installation_options())
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _with_installation(each)
    return command


def _end_in_order() -> None:
    """End at SIGTERM, or when the terminal is closed, as at Ctrl-C: what is half written is taken away.

    Whoever has us pass over one of them (`nohup`) is heeded.
    """
    for each in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # which Windows has not
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, signal.default_int_handler)


@click.group(
    cls=OpenGroup, params=_installation_options(), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="cbmir")
def cli() -> None:
    """Find, in an archive of medical images, those that look like this one.

    Every option is also an environment variable: CBMIR_DATA, CBMIR_DATABASE_URL, CBMIR_BROKER_URL and so on.
    """
    if click.get_current_context().invoked_subcommand in OWN:  # servers, of the other rooms, have ways of their own
        _end_in_order()


def main() -> None:
    """Run the command line: exit status 0, 1 after an error, 2 after a wrong call, 130 after an interrupt."""
    tell_places_only()
    _be_the_package()
    sys.exit(_run())


def _be_the_package() -> None:
    """Be started as by `python -m cbmir`, also from a script: processes that multiprocessing starts import a script
    anew, half a second for each, and a package's main module not at all."""
    sys.modules["__main__"].__spec__ = find_spec("cbmir.__main__")


def _run() -> int:
    os.umask(0o077)  # pictures, features and exports are patient data: for this user alone
    try:
        status = cli.main(standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CbmirError as error:
        return _complain(error.sentence, 1)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted.", 130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing more can be said
        return 1
    except OSError as error:
        return _complain(f"{error.filename or 'the system'}: {error.strerror or error}.", 1)


def _complain(sentence: str, status: int) -> int:
    click.echo(f"cbmir: {sentence}", err=True)
    return status
