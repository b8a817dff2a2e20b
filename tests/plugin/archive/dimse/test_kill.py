"""Nothing that was acknowledged is lost: the receiver is killed in mid-transfer, or told to end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from cbmir.archive.dimse.receiver import Receiver

CBMIR = str(Path(sys.executable).parent / "cbmir")


@contextmanager
def serving(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`cbmir archive serve` in a process of its own, and its port."""
    command = [CBMIR, "--data", str(data), "archive", "serve", "--keep-free", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r":(\d+) into", line)
        assert found, line + process.stdout.read()
        try:
            yield process, int(found[1])
        finally:
            process.kill()


def whole(file: Path) -> bool:
    """Whether the file's pixels are all there."""
    dataset = pydicom.dcmread(file)
    return len(dataset.PixelData) == dataset.Rows * dataset.Columns * 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_every_acknowledged_object_is_there_and_whole(
    how: signal.Signals,
    tmp_path: Path,
    objects: Callable[..., list[Path]],
    receive: Callable[..., Receiver],
    move_port: int,
) -> None:
    files = objects(120, Rows=256, Columns=256, PixelData=bytes(256 * 256 * 2))
    uids = {str(file): str(pydicom.dcmread(file).SOPInstanceUID) for file in files}
    received = tmp_path / "data" / "received"
    with serving(tmp_path / "data", "--port", str(move_port)) as (process, port):
        command = ["storescu", "-v", "-aec", "CBMIR", "127.0.0.1", str(port), *map(str, files)]
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while len(list(received.glob("*.dcm"))) < 40:
            time.sleep(0.005)
        process.send_signal(how)
        said, _ = sender.communicate(timeout=60)
        status = process.wait(30)
    acknowledged = {uids[file] for file in successes(said)}
    assert len(acknowledged) + 1 >= 40
    assert sender.returncode != 0 or how is signal.SIGTERM, "the sender was done before the receiver was killed"
    assert status == (-how if how is signal.SIGKILL else 0)
    there = {file.stem for file in received.glob("*.dcm")}
    assert acknowledged - there == set()
    assert all(whole(file) for file in received.glob("*.dcm"))
    receive(folder=received)
    assert [file.name for file in received.iterdir() if file.suffix != ".dcm"] == []


def successes(said: str) -> list[str]:
    """The files for which storescu was told that they are stored."""
    found, current = [], ""
    for line in said.splitlines():
        if started := re.match(r"I: Sending file: (.*)", line):
            current = started[1]
        elif line == "I: Received Store Response (Success)":
            found.append(current)
    return found
