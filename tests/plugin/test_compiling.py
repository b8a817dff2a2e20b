"""Machine code that is kept on disk is that of the sources as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

INNER = """
from cbmir.compiling import {kind}

@{kind}
def inner(number):
    return number + {step}
"""
OUTER = """
from cbmir.compiling import compiled
from inner import inner

@compiled
def outer(number):
    return 2 * inner(number)

print(outer(1), sum(outer.stats.cache_hits.values()))
"""


def ran(folder: Path, kind: str, step: int) -> str:
    (folder / "inner.py").write_text(INNER.format(kind=kind, step=step))
    (folder / "outer.py").write_text(OUTER)
    command = [sys.executable, str(folder / "outer.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_it_is_made_anew_once_a_function_that_it_calls_has_changed(tmp_path: Path) -> None:
    for kind in ("woven", "compiled"):
        (folder := tmp_path / kind).mkdir()
        assert ran(folder, kind, 1) == "4 0\n"
        assert ran(folder, kind, 10) == "22 0\n"


def test_it_is_kept_as_long_as_nothing_changes(tmp_path: Path) -> None:
    ran(tmp_path, "compiled", 1)
    command = [sys.executable, str(tmp_path / "outer.py")]
    again = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert again == "4 1\n"
