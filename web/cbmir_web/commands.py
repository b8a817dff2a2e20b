"""`cbmir web`: serve the pages and the API."""

from __future__ import annotations

import logging
from dataclasses import replace

import click

from cbmir.cli.alone import end_when_alone
from cbmir.cli.context import Context


@click.command()
@click.option("--host", help="Address to bind to; any but loopback needs CBMIR_USERNAME and CBMIR_PASSWORD.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 8000 by default.")
@click.option("--beside", is_flag=True, hidden=True, help="Of a supervisor, to end with it.")
@click.pass_obj
def web(context: Context, host: str | None, port: int | None, beside: bool) -> None:
    """Serve the pages and the REST API; workers run beside it (`cbmir worker`, or both with `cbmir up`)."""
    from cbmir_web.logs import hush_server
    from cbmir_web.serving import make_server

    if beside:
        end_when_alone()
    settings = replace(
        context.settings,
        host=context.settings.host if host is None else host,
        port=context.settings.port if port is None else port,
    )
    context.database.dispose()  # asked for only so that an embedded database is brought up to date
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    # what is asked for, what is done to an archive, and what is deleted
    for name in ("cbmir_web", "cbmir.services.archives", "cbmir.services.ingestion.removal"):
        logging.getLogger(name).setLevel(logging.INFO)
    hush_server()
    server = make_server(settings)
    click.echo(f"cbmir is at http://{settings.host}:{server.effective_port}", err=True)
    server.run()
