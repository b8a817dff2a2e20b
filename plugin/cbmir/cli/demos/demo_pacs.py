"""`cbmir demo-pacs`: cbmir beside a real Orthanc, which it follows live."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from cbmir.cli.context import Context
from cbmir.cli.demos.browser import show
from cbmir.cli.demos.demo import EPOCHS
from cbmir.cli.demos.own_orthanc import AET, USERNAME
from cbmir.cli.demos.pacs_tour import PacsTour
from cbmir.cli.demos.servers import LOCAL
from cbmir.cli.demos.steps import walk
from cbmir.phantoms.archive import PATIENTS
from cbmir.settings import Settings

FOLDER = Path(".demo-pacs")
DIRECTORY = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)
LOOK_SECONDS = 0.5


@click.command("demo-pacs")
@click.option("--data", type=DIRECTORY, default=FOLDER, show_default=True, metavar="DIR", help="The demo's folder.")
@click.option("--from", "source", type=EXISTING, metavar="DIR", help="DICOM files to send instead of drawn ones.")
@click.option("--no-serve", is_flag=True, help="End after the last step instead of going on live.")
@click.option("--port", type=click.IntRange(1, 65535), default=Settings.port, show_default=True, help="Of the web.")
@click.option("--patients", type=click.IntRange(3), default=PATIENTS, show_default=True, help="Drawn of each kind.")
@click.option("--epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, help="Of the training.")
def demo_pacs_command(
    data: Path, source: Path | None, no_serve: bool, port: int, patients: int, epochs: int
) -> int:
    """Start a real Orthanc, fill it, follow it, ask, delete a study in it - and go on live.

    It needs Orthanc with its Python and DICOMweb plugins, and stops it in the end. Everything lies in a folder of
    the demo's own, whatever CBMIR_* says; what is done there already is not done again. Ends with status 1 if a
    step's result is not what it should be.
    """
    with _interruptible(), ExitStack() as running:
        tour = PacsTour(Context(Settings(data=data, port=port)), running, patients, epochs, source)
        fine = _walk(tour)
        if fine and not no_serve:
            _go_on(tour)
    return 0 if fine else 1


@contextmanager
def _interruptible() -> Iterator[None]:
    """While this lasts whatever ends us does so as Ctrl-C does: what we started is ended too."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _walk(tour: PacsTour) -> bool:
    steps = {
        "Start Orthanc and cbmir": tour.start,
        "Send images to Orthanc": tour.send,
        "Add it as an archive": tour.add,
        "Follow it": tour.follow,
        "Train the autoencoder": tour.learning.train,
        "Extract features": tour.learning.extract,
        "Query": tour.ask,
        "Compare the index with Orthanc": tour.verify,
        "Delete a study in Orthanc": tour.delete,
        "Compare again": tour.verify,
    }
    return walk(tour.context, steps)


def _go_on(tour: PacsTour) -> None:
    """Say where everything is, until Ctrl-C.

    Raises:
        cbmir.errors.Unavailable: if Orthanc or cbmir ends by itself.
    """
    for line in _places(tour):
        click.echo(line)
    if show(tour.similar_url):
        click.echo("  Similar images was opened in your browser.")
    with suppress(KeyboardInterrupt):
        while True:
            tour.up.check()
            tour.orthanc.server.check()
            time.sleep(LOOK_SECONDS)
    click.echo("Ending both; that may take half a minute.")


def _places(tour: PacsTour) -> list[str]:
    orthanc, data = tour.orthanc, tour.context.settings.data
    return [
        "What is stored in Orthanc or deleted there from now on is followed live. Ctrl-C ends both.",
        f"  Orthanc Explorer   {orthanc.url}/app/explorer.html   user {USERNAME}, password {orthanc.password}",
        f"  cbmir              {tour.web_url}",
        f"  Similar images     {tour.similar_url}",
        f"  Send more          storescu -aec {AET} {LOCAL} {orthanc.dicom_port} FILE.dcm",
        f"  How far it is      cbmir archive status --data {data}",
    ]
