"""The key that the installation makes for itself: made once, for its owner alone, and never taken for another."""

from __future__ import annotations

import stat
from dataclasses import replace
from threading import Barrier, Thread

import pytest

from cbmir.errors import BadRequest
from cbmir.settings import Settings


def test_it_is_made_once_whoever_asks_first(settings: Settings) -> None:
    found, together = set[str](), Barrier(8)

    def ask() -> None:
        together.wait()
        found.add(settings.resolved_secret_key)

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (key,) = found
    assert len(bytes.fromhex(key)) == 32
    (file,) = settings.data.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("secret.key", 0o600)


@pytest.mark.parametrize("left", ["", "\n", "0123abcd"])
def test_one_that_a_crash_has_cut_is_not_used(settings: Settings, left: str) -> None:
    settings.data.mkdir()
    (settings.data / "secret.key").write_text(left)
    with pytest.raises(BadRequest, match="empty or cut off"):
        _ = settings.resolved_secret_key
    assert replace(settings, secret_key="configured").resolved_secret_key == "configured"


def test_a_line_end_that_an_editor_has_left_is_no_part_of_it(settings: Settings) -> None:
    settings.data.mkdir()
    (settings.data / "secret.key").write_text("ab" * 32 + "\n")
    assert settings.resolved_secret_key == "ab" * 32
