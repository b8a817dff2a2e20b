"""`cbmir delete`, from a folder that was ingested."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.mark.parametrize("closed", [None, StringIO("")], ids=["closed", "at its end"])
def test_images_are_deleted_when_somebody_says_yes(
    cbmir: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: StringIO | None
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        Image.new("L", (20, 20), 80 * number).save(folder / f"{number}.png")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,group\nimages/0.png,anna\nimages/1.png,anna\nimages/2.png,bert\n")
    assert cbmir("ingest", folder, "--labels", manifest).status == 0
    refused = cbmir("delete", "carl")
    assert (refused.status, refused.out) == (1, "")
    assert "Nothing here is called carl." in refused.err
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
    kept = cbmir("delete", "anna")
    assert (kept.status, kept.err.splitlines()[-1]) == (1, "cbmir: nothing is deleted.")
    with monkeypatch.context() as script:
        script.setattr("click.termui.visible_prompt_func", input)
        script.setattr("sys.stdin", closed)
        nobody = cbmir("delete", "anna")
    assert (nobody.status, nobody.out) == (2, "")
    assert "nobody is there to answer: nothing is done. Give --yes." in nobody.err
    told = cbmir("delete", "anna", "--yes")
    assert (told.status, told.out.split(".")[0]) == (0, "2 images deleted")
    again = cbmir("delete", "bert", "--yes", "--json")
    assert again.json == {"images": 1, "patients": 1, "deleted": 1}
    assert not list((tmp_path / "data" / "pictures").rglob("*.png"))
