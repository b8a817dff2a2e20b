"""The house as it was drawn: rooms, packages, files of one purpose."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"plugin": "cbmir", "workers": "cbmir_workers", "web": "cbmir_web", "migrations": "cbmir_migrations"}


@pytest.mark.parametrize(("room", "package"), ROOMS.items())
def test_a_room_holds_one_package_and_no_loose_module(room: str, package: str) -> None:
    packages = [path.parent.name for path in (ROOT / room).glob("*/__init__.py")]
    assert packages == [package]
    assert list((ROOT / room).glob("*.py")) == []


def test_services_are_in_folders_and_say_which() -> None:
    services = ROOT / "plugin" / "cbmir" / "services"
    assert [path.name for path in services.glob("*.py")] == ["__init__.py"]
    said = ast.get_docstring(ast.parse((services / "__init__.py").read_text())) or ""
    folders = {path.parent.name for path in services.glob("*/__init__.py")}
    assert {line.split("`")[1] for line in said.splitlines() if line.startswith("- `")} == folders


def source_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_no_file_is_a_drawer() -> None:
    long = {path.name: count for path in source_files() if (count := path.read_text().count("\n")) > 400}
    assert long == {}


def test_no_module_is_called_models_or_utils() -> None:
    assert [path for path in source_files() if path.stem in {"models", "utils", "helpers", "common"}] == []


def test_ci_runs_the_readmes_test_command() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()
