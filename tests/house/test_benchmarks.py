"""What the benchmarks import is installed with the extra `bench`."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PROGRAMS = sorted(BENCHMARKS.rglob("*.py"))
OTHER_NAMES = {"faiss": "faiss-cpu", "pil": "pillow", "sklearn": "scikit-learn", "tensorflow": "tensorflow-cpu"}
"""Distributions whose modules are called otherwise."""


def imported(path: Path) -> set[str]:
    """The distributions that a program imports: neither Python's own, nor ours, nor other benchmarks."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names = {module.partition(".")[0] for module in modules}
    here = {each.stem for each in BENCHMARKS.iterdir()}
    foreign = {name for name in names - here - sys.stdlib_module_names if not name.startswith("cbmir")}
    return {OTHER_NAMES.get(name.lower(), name.replace("_", "-")) for name in foreign}


def declared() -> set[str]:
    """The distributions that `pip install -e '.[bench]'` brings by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["bench"]
    return {re.match(r"[\w-]+", each)[0] for each in wanted}


@pytest.mark.parametrize("path", PROGRAMS, ids=[each.relative_to(BENCHMARKS).as_posix() for each in PROGRAMS])
def test_what_a_benchmark_imports_is_declared(path: Path) -> None:
    assert imported(path) - declared() == set()
