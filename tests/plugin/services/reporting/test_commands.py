"""`cbmir archive report` and `cbmir archive teach`, as a user calls them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.cli.archives.report import report_command, teach_command
from cbmir.cli.context import Context
from cbmir.errors import NotFound
from cbmir.services.archives.registered import add
from cbmir.settings import Settings


def call(hospital: Any, command: Any, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], obj=Context(hospital.settings))


def test_report_sends_both_unless_one_is_named(hospital: Any) -> None:
    kept = hospital.ask("asked")
    done = call(hospital, report_command, kept, "--to", "pacs", "--kos")
    assert done.exit_code == 0, done.output
    assert (len(hospital.stored("KO")), len(hospital.stored("SR"))) == (1, 0)
    done = call(hospital, report_command, kept, "--to", "pacs")
    assert "is a plain image" in done.stderr
    (report,) = hospital.stored("SR")
    assert f"sr  {report.SOPInstanceUID}" in done.stdout


def test_report_writes_into_a_folder(hospital: Any, tmp_path: Path) -> None:
    done = call(hospital, report_command, hospital.ask("asked"), "--to", "pacs", "--sr", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert [dcmread(path).Modality for path in (tmp_path / "out").iterdir()] == ["SR"]
    assert hospital.stored("SR") == []


def test_report_says_that_there_is_no_such_archive(hospital: Any) -> None:
    done = call(hospital, report_command, hospital.ask("asked"), "--to", "nowhere")
    assert isinstance(done.exception, NotFound)


def test_teach_takes_the_only_archive_and_says_what_it_leaves_out(hospital: Any, tmp_path: Path) -> None:
    target = tmp_path / "case.zip"
    done = call(hospital, teach_command, hospital.ask("asked"), "-o", target, "--title", "A case")
    assert done.exit_code == 0, done.output
    assert "text may stand in its pixels" in done.stderr
    assert f"3 images and a manifest: {target}" in done.stdout
    with zipfile.ZipFile(target) as packed:
        assert packed.read("about.txt").decode().startswith("A case\n")


def test_teach_asks_which_of_several_archives(hospital: Any, tmp_path: Path) -> None:
    other = Connection("other", ArchiveKind.ORTHANC, "http://127.0.0.1:1")
    add(hospital.database, hospital.settings, other)
    done = call(hospital, teach_command, hospital.ask("asked"), "-o", tmp_path / "case.zip")
    assert done.exit_code == 2
    assert "There are 2 archives" in done.stderr


@pytest.mark.parametrize("ranks", ["", "one", "1;2", "1,-2"])
def test_ranks_that_are_none_are_refused(settings: Settings, ranks: str) -> None:
    done = CliRunner().invoke(teach_command, ["x", "-o", "case.zip", "--hits", ranks], obj=Context(settings))
    assert done.exit_code == 2
    assert "is no list of ranks" in done.stderr
