"""The benchmark of the JSON exchange runs, and finds the bound on memory kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "json_exchange.py"


def test_a_small_run_reports_every_step(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--rows", "3000", "--peer-rows", "0"]
    command += ["--folder", str(tmp_path), "--output", str(output)]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    steps = {each["step"]: each for each in json.loads(output.read_text())["steps"]}
    assert list(steps) == ["fill", "export", "select", "numbers", "read", "import"]
    assert len(table.splitlines()) == 1 + len(steps)
    for name in ("export", "import"):
        assert steps[name]["rows"] == 3000
        assert 0 < steps[name]["peak_mb"] < 300
