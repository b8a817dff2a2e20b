"""The benchmark of the JSON exchange runs, and finds the bound on memory kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "json_exchange.py"


def test_a_small_run_reports_every_step(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--rows", "1000", "--peer-rows", "500", "--rounds", "1"]
    command += ["--folder", str(tmp_path), "--output", str(output)]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    report = json.loads(output.read_text())
    steps = {each["step"]: each for each in report["steps"]}
    peers = ["shorten", "json.load", "json.dump"]
    assert list(steps) == ["fill", "export", "select", "numbers", "read", "import", *peers]
    assert all(each["least_seconds"] <= each["seconds"] <= each["most_seconds"] for each in steps.values())
    assert [name for name in steps if f"\n{name} " not in table] == []
    assert f"{report['machine']}, load" in table
    assert 1000 < report["database_bytes_a_row"] < 5000
    assert report["ratios"]["by the clock"]["import"]["least"] > 0
    for name in ("export", "import"):
        assert steps[name]["rows"] == 1000
        assert 0 < steps[name]["peak_mb"] < 300
