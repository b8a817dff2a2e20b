"""`cbmir demo-pacs`, as a stranger runs it, only smaller: a real Orthanc, the real web and workers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from cbmir.cli.demos import own_orthanc
from cbmir.errors import NotFound

STEPS = 10


def words(port: int, *more: str) -> list[str]:
    size = ("--patients", "3", "--epochs", "1", "--port", str(port))
    return [sys.executable, "-m", "cbmir", "demo-pacs", *size, *more]


def environment(elsewhere: Path) -> dict[str, str]:
    """That of a user whose own installation must be left alone."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CBMIR_")}
    return {**plain, "CBMIR_DATA": str(elsewhere), "CBMIR_DATABASE_URL": f"sqlite:///{elsewhere}/own.sqlite"}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has run to its end."""
    try:
        own_orthanc.installed()
    except NotFound as missing:
        pytest.skip(missing.sentence)
    folder = tmp_path_factory.mktemp("clone")
    run = [*words(free_port()), "--no-serve"]
    own = folder / "own"
    done = subprocess.run(run, cwd=folder, env=environment(own), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["epoch 1"], "no warnings"
    (folder / "out").write_text(done.stdout)
    assert not own.exists()
    return folder


def orthanc(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / ".demo-pacs" / "orthanc" / "orthanc.json").read_text())
    return found


def deleted(told: str) -> int:
    """How many images the study had that was deleted."""
    (found,) = re.findall(r"a study of (\d+) images: gone here", told)
    return int(found)


def test_each_step_shows_that_it_worked_and_nothing_goes_on_running(clone: Path) -> None:
    told = (clone / "out").read_text()
    numbered = [line.split()[0] for line in told.splitlines() if line[:1].isdigit()]
    assert numbered == [f"{number}/{STEPS}" for number in range(1, STEPS + 1)]
    sent, settled, equal = (
        "81 objects sent, 0 were there",
        "81 held, 0 skipped, 0 set aside",
        "81 objects in Orthanc: 81",
    )
    left = 81 - deleted(told)
    for sign in (sent, settled, equal, f"{left} objects in Orthanc: {left} are", "All of it works"):
        assert sign in told, told
    assert told.count("differences: 0") == 2
    assert not listens(orthanc(clone)["HttpPort"])
    assert not listens(orthanc(clone)["DicomPort"])


def test_orthanc_lets_nobody_in_from_elsewhere_and_nobody_without_the_password(clone: Path) -> None:
    configuration = orthanc(clone)
    assert configuration["RemoteAccessAllowed"] is False
    assert configuration["AuthenticationEnabled"] is True
    assert configuration["DicomAlwaysAllowStore"] is False
    assert configuration["DicomCheckModalityHost"] is True
    assert (clone / ".demo-pacs" / "orthanc" / "orthanc.json").stat().st_mode & 0o077 == 0
    assert configuration["PythonScript"].endswith("plugin/orthanc/cbmir_orthanc.py")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What we start obeys SIGINT, even if we ignore it, as whatever a script has put into the background does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def serving(clone: Path) -> Iterator[Callable[[int], tuple[subprocess.Popen[str], list[str]]]]:
    """Starts the demo once more, until it says where everything is."""
    started: list[subprocess.Popen[str]] = []

    def start(port: int) -> tuple[subprocess.Popen[str], list[str]]:
        process = subprocess.Popen(
            words(port), cwd=clone, env=environment(clone / "own"), stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        told: list[str] = []
        while not told or "archive status" not in told[-1]:
            line = process.stdout.readline()
            assert line, "".join(told)
            told.append(line)
        return process, told

    yield start
    for process in started:
        process.terminate()  # not killed: it ends Orthanc and cbmir too
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.usefixtures("interruptible")
def test_a_second_run_does_nothing_twice_serves_and_stops_when_told(
    clone: Path, serving: Callable[[int], tuple[subprocess.Popen[str], list[str]]]
) -> None:
    port = free_port()
    process, lines = serving(port)
    told, configuration = "".join(lines), orthanc(clone)
    again = deleted((clone / "out").read_text())
    for sign in (f"{again} objects sent, {81 - again} were there already", "(trained before)", "81 held"):
        assert sign in told, told
    assert configuration["Cbmir"]["Url"] == f"http://127.0.0.1:{port}"
    explorer = f"http://127.0.0.1:{configuration['HttpPort']}/app/explorer.html"
    (password,) = configuration["RegisteredUsers"].values()
    assert explorer in told
    assert password in told
    assert requests.get(explorer, timeout=10).status_code == 401
    assert requests.get(explorer, auth=("demo", password), timeout=10).status_code == 200
    assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    assert f"http://127.0.0.1:{port}/similar?study=2.25." in told

    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stdout is not None
    assert "Ending both" in process.stdout.read()
    assert not any(map(listens, (port, configuration["HttpPort"], configuration["DicomPort"])))


def test_without_orthanc_it_says_what_is_missing_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cbmir: Callable[..., Any]
) -> None:
    monkeypatch.setattr(own_orthanc, "PROGRAMS", ())
    monkeypatch.setattr(own_orthanc, "PLUGIN_FOLDERS", (tmp_path,))
    monkeypatch.setenv("PATH", str(tmp_path))
    done = cbmir("demo-pacs", "--data", tmp_path / "demo")
    assert done.status == 1
    for word in ("Orthanc, OrthancPython, OrthancDicomWeb", "make services"):
        assert word in done.err
    assert "2/10" not in done.out


def test_a_port_that_is_taken_is_told_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cbmir: Callable[..., Any]
) -> None:
    monkeypatch.setattr(own_orthanc, "installed", lambda: ("Orthanc", []))
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cbmir("demo-pacs", "--data", tmp_path / "demo", "--port", taken.getsockname()[1])
    assert done.status == 1
    assert "choose another with --port" in done.err
