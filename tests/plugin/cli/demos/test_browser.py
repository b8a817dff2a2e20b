"""A page is opened where there is a screen, and only there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

SHOW = "import sys; from cbmir.cli.demos.browser import show; print(show(sys.argv[1]))"


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """A browser that notes what it is asked to show."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/shown\n')
    program.chmod(0o700)
    return program


def show(browser: Path, **screen: str) -> str:
    environment = {"BROWSER": f"{browser} %s", "PATH": "/usr/bin:/bin", **screen}
    command = [sys.executable, "-c", SHOW, "http://127.0.0.1:8000/similar"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says so whether there is a screen")
def test_a_page_is_opened_only_where_there_is_a_screen(browser: Path) -> None:
    assert show(browser) == "False"
    assert show(browser, DISPLAY=":0") == "True"
    shown, until = browser.with_name("shown"), time.monotonic() + 30
    while not (shown.exists() and shown.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert shown.read_text() == "http://127.0.0.1:8000/similar\n"
