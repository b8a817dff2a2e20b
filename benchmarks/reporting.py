"""What the reports of benchmarks have in common: where they ran, and how far a figure's rounds lie apart."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cbmir.encoders import machine


def conditions(*packages: str) -> dict[str, Any]:
    """The machine with its cores, the load of its last minute, and the versions of Python and of the packages."""
    return {
        "machine": f"{_processor()}, {machine.cores()} cores",
        "load": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
    }


def heading(report: dict[str, Any]) -> str:
    """The conditions in a report, on one line."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return f"{report['machine']}, load {report['load']:.1f}; {versions}"


def spread(rounds: Sequence[float]) -> dict[str, float]:
    """The median over the rounds, the least and the most."""
    return {"median": statistics.median(rounds), "least": min(rounds), "most": max(rounds)}


def told(figure: dict[str, float], digits: int) -> str:
    """A spread with so many digits after the point."""
    median, least, most = (f"{figure[name]:.{digits}f}" for name in ("median", "least", "most"))
    return f"{median} ({least} - {most})"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
