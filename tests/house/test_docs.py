"""The documents: their links lead somewhere, their commands exist, their tables are whole."""

from __future__ import annotations

import re
import shlex
from copy import copy
from pathlib import Path

import click
import pytest
from flask import Flask

from cbmir.cli.main import cli
from cbmir.settings import Settings
from cbmir_web.app import create_app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def commands() -> list[str]:
    blocks = (block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL))
    return sorted({line for block in blocks for line in block.splitlines() if line.startswith("cbmir ")})


def without_files(command: click.Command) -> click.Command:
    """A copy of the command that does not ask whether its files are there."""
    free = copy(command)
    free.params = [copy(parameter) for parameter in command.params]
    for parameter in free.params:
        if isinstance(parameter.type, click.Path):
            parameter.type = click.STRING
    return free


@pytest.mark.parametrize("line", commands())
def test_every_command_can_be_called_so(line: str) -> None:
    words = shlex.split(line)[1:]
    if words[0] == "--data":
        del words[:2]
    command: click.Command = cli
    with click.Context(cli) as call:
        while isinstance(command, click.Group) and (words or not command.invoke_without_command):
            found = command.get_command(call, words.pop(0))
            assert found is not None
            command = found
        without_files(command).make_context(command.name, words, parent=call)


def test_the_page_of_commands_has_every_command() -> None:
    rows = re.findall(r"^\| (`cbmir .*?) \|", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`cbmir ([a-z-]+)", row)}
    assert named == set(cli.list_commands(click.Context(cli)))


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_app(settings)


def test_the_rest_page_lists_every_path(app: Flask) -> None:
    listed = set(
        re.findall(r"^\| (GET|POST|PATCH|DELETE) \| `(\S+)`", (ROOT / "docs" / "rest.md").read_text(), re.MULTILINE)
    )
    served = {
        (method, re.sub(r"<\w+:", "<", rule.rule).removeprefix("/api/v1"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) & {"GET", "POST", "PATCH", "DELETE"}
    }
    assert listed == served


def test_every_metric_is_named() -> None:
    source = (ROOT / "web" / "cbmir_web" / "metrics.py").read_text()
    page = (ROOT / "docs" / "administration.md").read_text()
    families = set(re.findall(r'GaugeMetricFamily\(\s*"(cbmir_\w+)"', source))
    assert families
    assert {name for name in families if f"`{name}`" not in page} == set()


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert [page.name for page in folder.glob("*.md") if page.name != "README.md" and page.name not in index] == []
