"""The README's commands are run as they stand there, in their order."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()
PORT = "18471"


def blocks() -> list[list[str]]:
    """The lines of each fenced block of shell commands."""
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]


def commands(program: str) -> list[str]:
    return [line for block in blocks() for line in block if line.split()[0] == program]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(tmp_path), "CBMIR_DATA": str(tmp_path / "data"), "CBMIR_PORT": PORT}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of ten patients in folders, as the README says that they may lie."""
    rng = np.random.default_rng(0)
    for number in range(20):
        folder = tmp_path / "images" / "mri" / ("glioma", "normal")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "images"


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    assert commands("make") == ["make demo", "make test"]
    for target in re.findall(r"`?make ([a-z]+)", README):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_command_of_the_table_is_one() -> None:
    named = set(re.findall(r"`cbmir ([a-z]+)", README))
    helped = subprocess.run([BIN / "cbmir", "--help"], capture_output=True, text=True, check=True).stdout
    assert named <= {line.split()[0] for line in helped.splitlines() if line.startswith("  ") and line.split()}


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment)
    try:
        wait_until_ready()
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready() -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz").close()
            return
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            assert time.monotonic() < deadline, "the web is not ready"
            time.sleep(0.5)


@pytest.mark.skipif(which("curl") is None, reason="needs curl")
def test_the_commands_do_what_they_say(environment: dict[str, str], images: Path) -> None:
    an_image = images / "mri" / "glioma" / "0.png"
    *steps, up = commands("cbmir")
    assert up == "cbmir up"
    for line in steps:
        line = line.replace("/path/to/images", str(images)).replace("/path/to/an/image", str(an_image))
        done = subprocess.run(shlex.split(line), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, line + done.stdout + done.stderr
        assert done.stderr == "", line
        if "query" in line:
            assert len(done.stdout.splitlines()) == 5
    with running(shlex.split(up), environment):
        (curl,) = commands("curl")
        line = curl.replace("image.dcm", str(an_image)).replace(":8000", f":{PORT}")
        answer = subprocess.run(shlex.split(line), env=environment, capture_output=True, check=True).stdout
    assert len(json.loads(answer)["hits"]) == 5
