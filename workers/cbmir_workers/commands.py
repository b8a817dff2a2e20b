"""`cbmir up`, `cbmir worker` and `cbmir doctor`."""

from __future__ import annotations

import logging
from dataclasses import replace

import click

from cbmir.cli.alone import end_when_alone
from cbmir.cli.context import Context, json_option, print_json
from cbmir.settings import Settings
from cbmir_workers.queues import ROLES


@click.command("up")
@click.option("--host", help="Address to bind to; any but loopback needs CBMIR_USERNAME and CBMIR_PASSWORD.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="TCP port of the web; 8000 unless CBMIR_PORT says else."
)
@click.pass_obj
def up(context: Context, host: str | None, port: int | None) -> None:
    """Run everything: the web, a worker of each kind and, unless a broker is configured, Redis. Ctrl-C ends all."""
    from cbmir_workers.up import run

    settings = _made_ready(context)
    run(replace(settings, host=host or settings.host, port=port or settings.port), click.echo)


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
@click.option("--beside", is_flag=True, hidden=True, help="Of a supervisor, to end with it.")
@click.pass_context
def worker(call: click.Context, roles: tuple[str, ...], beside: bool) -> None:
    """Work on queued jobs until told to stop."""
    from cbmir_workers.up import run_workers
    from cbmir_workers.worker import run

    context: Context = call.obj
    if beside:
        end_when_alone()
    if len(roles) == 1:
        call.exit(run(context.settings, context.database, roles[0]))
    run_workers(_made_ready(context), roles)


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


def _made_ready(context: Context) -> Settings:
    """The settings, once the database is brought up to date, before the children ask for it; and the log."""
    from cbmir.services.retrieval.indexes.backends.choose import check
    from cbmir_workers.worker import LOG_FORMAT

    check(context.database, context.settings)
    context.database.dispose()
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    return context.settings
