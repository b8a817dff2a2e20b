"""What benchmarks have in common: where they ran, how far a figure's rounds lie apart, and how they fail."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cbmir.encoders import machine
from cbmir.errors import CbmirError


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


def quartiles(values: Sequence[float]) -> list[float]:
    """The first quartile, the median, the third; of a single value three times that."""
    return statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3


def installation(text: str) -> Path:
    """The data folder of an installation, as an argument: refused where there is none."""
    folder = Path(text)
    if not (folder / "cbmir.sqlite").exists():
        raise argparse.ArgumentTypeError(f"{text} holds no installation: there is no cbmir.sqlite in it")
    return folder


def positive(text: str) -> int:
    """A number from 1 on, as an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Ends the program with what an error says and what to do, where the user is meant and not the programmer."""
    try:
        yield
    except CbmirError as error:
        raise SystemExit(f"{Path(sys.argv[0]).name}: {error.sentence}") from error


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
