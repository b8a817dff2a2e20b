"""Nothing that was acknowledged is lost: the receiver is killed in mid-transfer, or told to end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    with serving(tmp_path / "data", "--processes", "1", "--port", str(move_port)) as (process, port):
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


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: looks for companions in /proc")
def test_processes_share_the_port_lose_nothing_and_end_with_the_first(
    tmp_path: Path, objects: Callable[..., list[Path]], move_port: int
) -> None:
    files = objects(64, Rows=64, Columns=64, PixelData=bytes(64 * 64 * 2))
    received = tmp_path / "data" / "received"
    with serving(tmp_path / "data", "--processes", "2", "--port", str(move_port)) as (process, port):
        (companion,) = until(lambda: companions(process.pid))
        command = ["storescu", "-aec", "CBMIR", "127.0.0.1", str(port)]
        senders = [subprocess.Popen([*command, *map(str, files[start::8])]) for start in range(8)]
        assert [sender.wait(60) for sender in senders] == [0] * 8
        assert len(list(received.glob("*.dcm"))) == 64
        os.kill(companion, signal.SIGKILL)
        (another,) = until(lambda: companions(process.pid) - {companion})
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        until(lambda: not Path(f"/proc/{another}").exists())


def companions(pid: int) -> set[int]:
    """The processes that a receiver has started and that live."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {child for child in children if "State:\tZ" not in Path(f"/proc/{child}/status").read_text()}


def until(look: Callable[[], Any]) -> Any:
    """What is seen as soon as anything is."""
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def successes(said: str) -> list[str]:
    """The files for which storescu was told that they are stored."""
    found, current = [], ""
    for line in said.splitlines():
        if started := re.match(r"I: Sending file: (.*)", line):
            current = started[1]
        elif line == "I: Received Store Response (Success)":
            found.append(current)
    return found
