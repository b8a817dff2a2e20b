"""`cbmir archive serve`: the Storage SCP, until it is told to end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cbmir.cli.alone import when_alone
from cbmir.cli.archives.companions import Companions
from cbmir.cli.context import Context

FILE = click.Path(exists=True, dir_okay=False)
MOST_PROCESSES = 4
TEND_SECONDS = 1.0
"""How often it is looked whether a companion has died."""
HOST, PORT, AET, KEEP_FREE_MB = "127.0.0.1", 11112, "CBMIR", 1024


@click.command("serve")
@click.option("--host", default=HOST, show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(1, 65535), help="TCP port.")
@click.option("--aet", default=AET, show_default=True, metavar="AE", help="Our AE title.")
@click.option("--allow", "allowed", multiple=True, metavar="AE", help="Calling AE title let in; repeat for more.")
@click.option("--any-called", is_flag=True, help="Let callers call us by any AE title.")
@click.option("--open", "open_door", is_flag=True, help="Let every machine that reaches us send.")
@click.option("--keep", is_flag=True, help="Keep files once they are ingested, and offer storage commitment.")
@click.option(
    "--fsync",
    type=click.Choice(["always", "association", "never"]),
    default="association",
    show_default=True,
    help="When received bytes are forced to the disk, against a loss of power.",
)
@click.option("--tls-cert", "certificate", type=FILE, help="Our certificate (PEM): all connections are encrypted.")
@click.option("--tls-key", "key", type=FILE, help="Its private key (PEM).")
@click.option("--tls-ca", "authority", type=FILE, help="Authority (PEM) whose certificates callers must show.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="AE@HOST:PORT",
    help="Who is told about storage commitment over an association of its own; repeat for more.",
)
@click.option(
    "--keep-free",
    "keep_free_mb",
    default=KEEP_FREE_MB,
    show_default=True,
    type=click.IntRange(0),
    metavar="MB",
    help="With less free on the disk, objects are refused.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 16),
    help="Processes that receive side by side; one for each core, four at most, unless given.",
)
@click.option("--beside", is_flag=True, hidden=True, help="As a companion of the process that was first.")
@click.pass_obj
def serve_command(
    context: Context, /, open_door: bool, processes: int | None, beside: bool, **options: Any
) -> None:
    """Receive DICOM objects (C-STORE) into the installation's folder `received`, where workers ingest them.

    An object lies there, whole, before its sender is told that it is stored. Ends, in order, at Ctrl-C or SIGTERM.
    """
    from cbmir.archive.dimse.receiver import Receiver
    from cbmir.archive.dimse.reception import refuse_open_door

    count = processes or min(MOST_PROCESSES, os.cpu_count() or 1)
    how = replace(_reception(context.settings.received, **options), shared=count > 1, joins=beside)
    if not open_door:
        refuse_open_door(how)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    with Receiver(how) as receiver:
        if beside:
            when_alone(ended.set)
            ended.wait()
            return
        with Companions(count - 1, "--beside") as companions:
            click.echo(f"{how.aet} receives on {how.host}:{receiver.port} into {how.folder}.")
            while not ended.wait(TEND_SECONDS):
                companions.tend()
    click.echo("Ended.")


def _reception(
    folder: Path, *, any_called: bool, fsync: str, keep_free_mb: int, reports: tuple[str, ...], **options: Any
) -> Any:
    """The settings of the receiver, from the options of the command."""
    from cbmir.archive.dimse.address import Address
    from cbmir.archive.dimse.landing import Fsync
    from cbmir.archive.dimse.reception import Reception

    told = {where.aet: (where.host, where.port) for where in map(Address.of, reports)}
    return Reception(
        folder,
        **{name: value for name, value in options.items() if value is not None},
        check_called=not any_called,
        fsync=Fsync(fsync),
        keep_free=keep_free_mb * 1024 * 1024,
        reports=told,
    )
