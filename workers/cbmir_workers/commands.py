"""`cbmir up`, `cbmir worker` and `cbmir doctor`."""

from __future__ import annotations

import logging
from dataclasses import replace

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.services.retrieval.indexes.backends.choose import check
from cbmir_workers import up as installation
from cbmir_workers.client import ROLES
from cbmir_workers.worker import LOG_FORMAT, run


@click.command("up")
@click.option("--host", help="Address to bind to; any but loopback needs CBMIR_USERNAME and CBMIR_PASSWORD.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="TCP port of the web; 8000 unless CBMIR_PORT says else."
)
@click.pass_obj
def up(context: Context, host: str | None, port: int | None) -> None:
    """Run everything: the web, a worker of each kind and, unless a broker is configured, Redis. Ctrl-C ends all."""
    settings = context.settings
    check(context.database, settings)
    context.database.dispose()  # made and brought up to date, once, before the children ask for it
    _log_plainly()
    chosen = replace(settings, host=host or settings.host, port=port or settings.port)
    installation.run(chosen, click.echo)


@click.command("worker")
@click.option(
    "--role",
    "roles",
    type=click.Choice(tuple(ROLES)),
    multiple=True,
    default=tuple(ROLES),
    help="What to work on: queries, the index (ingest, extraction, evaluation), training, or archives. May be "
    "repeated; each role has a process of its own. All, unless given.",
)
@click.pass_context
def worker(call: click.Context, roles: tuple[str, ...]) -> None:
    """Work on queued jobs until told to stop."""
    context: Context = call.obj
    if len(roles) == 1:
        call.exit(run(context.settings, context.database, roles[0]))
    check(context.database, context.settings)
    context.database.dispose()
    _log_plainly()
    installation.run_workers(context.settings, roles)


@click.command("doctor")
@json_option
@click.pass_context
def doctor(call: click.Context, as_json: bool) -> None:
    """Say what is installed, what answers, what is wrong and what to do about it; exit status 1 if something is."""
    from cbmir_workers.doctor import examine  # asks for much that no worker needs

    findings = examine(call.obj.settings)
    healthy = all(each.fine for each in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [each.as_json() for each in findings]})
    else:
        for each in findings:
            click.echo(each.line)
    call.exit(0 if healthy else 1)


def _log_plainly() -> None:
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
