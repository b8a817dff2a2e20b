"""`cbmir demo`, as a stranger runs it, only smaller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SIZE = ("--patients", "3", "--epochs", "1")
PORT = "18476"
READY = f"cbmir is ready: http://127.0.0.1:{PORT}"


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CBMIR_")}
    command = [sys.executable, "-m", "cbmir", "demo", "--no-serve", *SIZE, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has run; its data lies in `.demo`, as nothing else was said."""
    folder = tmp_path_factory.mktemp("clone")
    done = demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["epoch 1"], "no warnings"
    assert [line[:3] for line in done.stdout.splitlines() if line[:1].isdigit()] == [f"{n}/6" for n in range(1, 7)]
    assert "All of it works" in done.stdout
    return folder


@pytest.fixture(scope="module")
def again(shown: Path) -> str:
    """What a second run says until it serves, and then is told to stop."""
    command = [sys.executable, "-m", "cbmir", "demo", *SIZE, "--port", PORT]
    told = []
    with subprocess.Popen(
        command, cwd=shown, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if READY in line:
                process.terminate()
        assert process.wait(30) == 0
    return "".join(told)


def test_a_second_run_does_nothing_twice_and_finds_the_same(shown: Path, again: str) -> None:
    for sign in ("(drawn before)", "0 ingested", "(trained before)", "0 pictures encoded"):
        assert sign in again
    assert len([*(shown / ".demo" / "weights").iterdir()]) == 1
    lines = again.splitlines()
    asked = [index for index, line in enumerate(lines) if "most like" in line]
    assert len(asked) == 4
    for index in asked:
        modality = lines[index].split("(")[1].split(",")[0]
        assert sum(f"  {modality}, " in hit for hit in lines[index + 1 : index + 6]) >= 3


def test_it_serves_at_the_end_and_stops_when_told(again: str) -> None:
    assert READY in again


def test_a_lost_object_is_told_and_ends_with_status_1(shown: Path) -> None:
    lost = next((shown / ".demo").glob("archive-*/xray/hand/*.dcm"))
    data = lost.read_bytes()
    lost.unlink()
    try:
        done = demo(shown)
    finally:
        lost.write_bytes(data)
    assert done.returncode == 1
    assert "the demo failed: 1 drawn objects are gone" in done.stderr
    assert "2/6" not in done.stdout
