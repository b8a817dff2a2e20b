"""The command line, run in this process as a user types it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cbmir.cli import main


@dataclass(frozen=True)
class Result:
    """What a command gave: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cbmir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs a command line in this process, on an installation of the test's own."""
    monkeypatch.setenv("CBMIR_DATA", str(tmp_path / "data"))
    for module in (sys, threading):  # which a command line changes for its whole process
        monkeypatch.setattr(module, "excepthook", module.excepthook)

    def run(*words: object) -> Result:
        monkeypatch.setattr("sys.argv", ["cbmir", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, *capfd.readouterr())

    return run
