"""A secret key that was lost: every command says so, until another is accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def test_a_lost_key_is_told_and_another_can_be_accepted(
    cbmir: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "picture.png"
    Image.new("L", (20, 20), 90).save(picture)
    assert cbmir("ingest", picture).status == 0
    monkeypatch.setenv("CBMIR_SECRET_KEY", "another")
    for words in (("ingest", picture), ("query", picture), ("web", "--port", 0), ("worker",)):
        refused = cbmir(*words)
        assert (refused.status, refused.out) == (1, "")
        assert "Set CBMIR_SECRET_KEY to the former one" in refused.err
    assert "BAD  secret key" in cbmir("doctor").out
    monkeypatch.setattr("sys.stdin", None)
    nobody = cbmir("db", "accept-key")
    assert (nobody.status, "Give --yes." in nobody.err) == (2, True)
    assert cbmir("db", "accept-key", "--yes").out == "The present secret key is the database's from now on.\n"
    assert cbmir("query", picture).status == 1  # nothing has features yet
    assert "ok   secret key" in cbmir("doctor").out
    monkeypatch.delenv("CBMIR_SECRET_KEY")
    assert f"back into {tmp_path / 'data' / 'secret.key'}, or into" in cbmir("ingest", picture).err
