"""A whole installation, running: `cbmir up` over a small gallery; and a real browser."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, sync_playwright
from pydicom.data import get_testdata_file

import cbmir_migrations
from cbmir.progress import Silence
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir_workers.up import child_environment

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Running:
    """The installation: where it answers, a picture that it does not know, a DICOM object that it knows."""

    address: str
    stranger: Path
    sop_instance_uid: str
    settings: Settings


def draw(path: Path, kind: str, number: int) -> Path:
    """A ring or a cross, anew for each number, as a PNG file."""
    noise = np.random.default_rng(number)
    x, y, size = (int(n) for n in noise.integers((30, 30, 18), (66, 66, 26)))
    image = Image.fromarray(noise.integers(0, 30, (96, 96), np.uint8))
    pen = ImageDraw.Draw(image)
    if kind == "ring":
        pen.ellipse((x - size, y - size, x + size, y + size), outline=220, width=5)
    else:
        pen.line((x - size, y, x + size, y), fill=220, width=6)
        pen.line((x, y - size, x, y + size), fill=220, width=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def prepare(settings: Settings, folder: Path) -> None:
    """Ingest drawn pictures and DICOM objects, train for one short epoch, extract."""
    for number in range(24):
        kind = ("ring", "cross")[number % 2]
        draw(folder / kind / f"{kind}_{number:02}.png", kind, number)
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(str(get_testdata_file(name)), folder / "ring" / name)
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    assert ingest(database, settings, [folder], "folder", Silence()).ingested == 26
    encoder = train(database, settings, TrainingRequest(epochs=1, side=16, batch_size=8), Silence())
    extract(database, settings, encoder, Silence())
    database.dispose()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`cbmir up`, until the last test is over."""
    folder = tmp_path_factory.mktemp("e2e")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(data=folder / "data", port=port)
    prepare(settings, folder / "gallery")
    log = (folder / "up.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "cbmir", "up"], env=child_environment(settings), stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(address, process, folder / "up.log")
        yield Running(address, draw(folder / "stranger.png", "ring", 99), sop_instance_uid(), settings)
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def sop_instance_uid() -> str:
    """Of the CT that the gallery holds."""
    from pydicom import dcmread

    return str(dcmread(str(get_testdata_file("CT_small.dcm")), stop_before_pixels=True).SOPInstanceUID)


def wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask until it is ready; fail with its log if it ends or takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{address}/readyz") as response:
            if response.status == 200:
                return
        time.sleep(0.2)
    pytest.fail(log.read_text())


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium: run `make services`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
