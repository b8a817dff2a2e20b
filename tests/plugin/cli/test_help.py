"""The list of all commands."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import sys
from cbmir.cli.main import cli
cli(["--help"], standalone_mode=False)
print(sorted({"torch", "matplotlib", "flask", "celery", "pynetdicom", "onnxruntime"} & set(sys.modules)))
"""


def test_it_asks_for_nothing_heavy() -> None:
    ended = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=60)
    *told, found = ended.stdout.splitlines()
    assert found == "[]"
    assert any(line.split()[:1] == ["worker"] for line in told), "commands of other rooms, too"
