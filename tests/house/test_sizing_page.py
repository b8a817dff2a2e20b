"""The page that sizes a hospital holds what its figures give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_holds_the_computed_table() -> None:
    command = [sys.executable, "benchmarks/sizing.py", "--check", "docs/sizing.md"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0, "run `python benchmarks/sizing.py`"
