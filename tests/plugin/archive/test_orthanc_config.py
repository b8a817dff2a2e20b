"""What is to be written into Orthanc's configuration."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom.datadict import tag_for_keyword

from cbmir.archive import orthanc_config
from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.cli.archives.orthanc_config import orthanc_config_command
from cbmir.cli.context import Context
from cbmir.errors import BadRequest, CbmirError, NotFound
from cbmir.services.archives.registered import add
from cbmir.settings import Settings
from cbmir.store.session import Database

SCRIPTS = Path(__file__).resolve().parents[3] / "plugin" / "orthanc"


def test_a_button_for_each_level() -> None:
    found = orthanc_config.buttons("https://cbmir.example/below/")
    levels = found["OrthancExplorer2"]["UiOptions"]["CustomButtons"]
    assert set(levels) == {"study", "series", "instance"}
    for level, (button,) in levels.items():
        assert button["HttpMethod"] == "GET"
        (keyword,) = re.findall(r"\{(\w+)\}", button["Url"])
        assert tag_for_keyword(keyword) is not None
        assert button["Url"] == f"https://cbmir.example/below/similar?{level}={{{keyword}}}"
    assert len({button["Id"] for (button,) in levels.values()}) == 3


def test_the_script_understands_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    configuration = import_module("cbmir_link.configuration").Configuration
    for name in [name for name in sys.modules if name.partition(".")[0] == "cbmir_link"]:
        del sys.modules[name]
    written = orthanc_config.script("http://127.0.0.1:8000/", "main", "alice")
    read = configuration.of({**written, "StorageDirectory": "/var/lib/orthanc"})
    assert (read.url, read.archive, read.username) == ("http://127.0.0.1:8000", "main", "alice")
    assert Path(written["PythonScript"]).name in {path.name for path in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize(
    "url", ["", "cbmir.example", "javascript:alert(1)", "http://", "http://a:b", "http://u:p@a", "http://a/{UUID}"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        orthanc_config.buttons(url)
    with pytest.raises(BadRequest):
        orthanc_config.script(url, "main")


def test_a_script_needs_an_archive() -> None:
    with pytest.raises(BadRequest, match="which archive"):
        orthanc_config.script("http://127.0.0.1:8000", "")


def test_a_web_for_other_machines_needs_its_name(settings: Settings) -> None:
    context = Context(replace(settings, host="10.0.0.5"))
    with pytest.raises(BadRequest, match="other machines"):
        CliRunner().invoke(orthanc_config_command, [], obj=context, catch_exceptions=False)


@pytest.fixture
def main(database: Database, settings: Settings) -> None:
    """An Orthanc that is followed as `main`, and a DICOMweb server as `web`."""
    for name, kind in (("main", ArchiveKind.ORTHANC), ("web", ArchiveKind.DICOMWEB)):
        add(database, settings, Connection(name, kind, "http://127.0.0.1:9"))


@pytest.mark.usefixtures("main")
@pytest.mark.parametrize(
    ("name", "error", "says"),
    [("other", NotFound, "There is no archive other. Add it first: `cbmir archive add other URL`."),
     ("web", BadRequest, "The archive web is followed by dicomweb")],
)  # fmt: skip
def test_a_name_that_no_orthanc_has_is_refused(
    settings: Settings, name: str, error: type[CbmirError], says: str
) -> None:
    for words in ([name], [name, "--script"]):
        with pytest.raises(error) as refused:
            CliRunner().invoke(orthanc_config_command, words, obj=Context(settings), catch_exceptions=False)
        assert refused.value.sentence.startswith(says)


@pytest.mark.usefixtures("main")
def test_the_command_prints_json(settings: Settings) -> None:
    def printed(*words: str) -> object:
        done = CliRunner().invoke(orthanc_config_command, words, obj=Context(settings))
        assert (done.exit_code, done.stderr) == (0, "")
        return json.loads(done.stdout)

    assert printed() == orthanc_config.buttons("http://127.0.0.1:8000")
    assert printed("main", "--url", "https://a") == orthanc_config.buttons("https://a")
    assert printed("main", "--script") == orthanc_config.script("http://127.0.0.1:8000", "main")
