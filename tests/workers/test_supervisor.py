"""Children are started again when they die, given up when that does not help, and ended in time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cbmir.errors import Unavailable
from cbmir_workers import supervisor
from cbmir_workers.supervisor import Program, Supervisor


class Watcher:
    """Stops the supervisor, as Ctrl-C would, once a condition holds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def __call__(self) -> None:
        if self._condition():
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Program]:
    """A child that runs these lines of Python, whatever it is called with."""

    def make(lines: str) -> Program:
        (tmp_path / "cbmir").mkdir(exist_ok=True)
        (tmp_path / "cbmir" / "__init__.py").touch()
        (tmp_path / "cbmir" / "__main__.py").write_text(lines)
        return Program("child", (), {**os.environ, "PYTHONPATH": str(tmp_path), "MARK": str(tmp_path / "mark")})

    return make


MARK = "import os, signal, sys, time\nopen(os.environ['MARK'], 'a').write('.')\n"


def starts(tmp_path: Path) -> int:
    mark = tmp_path / "mark"
    return len(mark.read_text()) if mark.exists() else 0


def test_a_child_that_dies_is_started_again(program: Callable[[str], Program], tmp_path: Path) -> None:
    child = program(MARK + "time.sleep(0 if os.path.getsize(os.environ['MARK']) == 1 else 60)")
    Supervisor([child], Watcher(lambda: starts(tmp_path) == 2)).run()
    assert starts(tmp_path) == 2


def test_one_that_dies_at_once_every_time_is_given_up(
    program: Callable[[str], Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    with pytest.raises(Unavailable, match=r"The child ended 4 times in a row \(exit status 3\)"):
        Supervisor([program(MARK + "sys.exit(3)")]).run()
    assert starts(tmp_path) == 4


def test_one_that_has_lived_is_never_given_up(
    program: Callable[[str], Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "QUICK_SECONDS", 2.0)
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    child = program(MARK + "time.sleep(3 if os.path.getsize(os.environ['MARK']) == 1 else 0)\nsys.exit(3)")
    more = supervisor.MOST_QUICK_DEATHS + 3
    Supervisor([child], Watcher(lambda: starts(tmp_path) == more)).run()
    assert starts(tmp_path) == more


def test_one_that_does_not_hear_is_killed_after_the_grace(
    program: Callable[[str], Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.3)
    deaf = program("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + MARK + "time.sleep(60)")
    began = time.monotonic()
    Supervisor([deaf], Watcher(lambda: starts(tmp_path) == 1)).run()
    assert time.monotonic() - began < 20


def test_afterwards_signals_mean_what_they_did(program: Callable[[str], Program]) -> None:
    before = [signal.getsignal(each) for each in supervisor.STOP_SIGNALS]
    Supervisor([program("import time; time.sleep(60)")], Watcher(lambda: True)).run()
    assert [signal.getsignal(each) for each in supervisor.STOP_SIGNALS] == before
