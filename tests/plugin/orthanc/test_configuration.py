"""What stands in Orthanc's configuration about cbmir: what is right, and what is said about what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cbmir

RIGHT = {"Url": "https://cbmir.example:8443/below/", "Archive": "main", "Queue": "/var/lib/orthanc/queue.sqlite"}


def test_a_right_one(part: Callable[[str], Any]) -> None:
    read = part("configuration").Configuration.of
    made = read({"Cbmir": {**RIGHT, "Password": "very-secret"}})
    assert (made.url, made.browser_url) == ("https://cbmir.example:8443/below",) * 2
    assert "very-secret" not in repr(made)
    made = read({"Cbmir": {"Url": "http://[::1]:8000", "Archive": "a"}, "StorageDirectory": "/var/lib/orthanc"})
    assert made.queue == Path("/var/lib/orthanc/cbmir-queue.sqlite")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"Url": ""}, "Cbmir.Url"),
        ({"Url": "cbmir.example"}, "Cbmir.Url"),
        ({"Url": "ftp://cbmir.example"}, "Cbmir.Url"),
        ({"Url": "file:///etc/passwd"}, "Cbmir.Url"),
        ({"Url": "http://cbmir.example:port"}, "Cbmir.Url"),
        ({"Url": "http://cbmir.example/\n"}, "Cbmir.Url"),
        ({"Url": "http://cbmir.example?x"}, "Cbmir.Url"),
        ({"Url": "http://alice:very-secret@cbmir.example"}, "Cbmir.Url"),
        ({"BrowserUrl": "javascript:alert(1)"}, "Cbmir.BrowserUrl"),
        ({"Archive": ""}, "Cbmir.Archive"),
        ({"Password": 5}, "Cbmir.Password"),
        ({"Queue": "queue.sqlite"}, "Cbmir.Queue"),
        ({"QueueLimit": True}, "Cbmir.QueueLimit"),
        ({"QueueLimit": 0}, "Cbmir.QueueLimit"),
        ({"Pasword": "very-secret"}, "Cbmir.Pasword"),
    ],
)
def test_a_wrong_one_is_named(part: Callable[[str], Any], wrong: dict[str, Any], named: str) -> None:
    configuration = part("configuration")
    with pytest.raises(configuration.BadConfiguration, match=named) as caught:
        configuration.Configuration.of({"Cbmir": {**RIGHT, **wrong}})
    assert "very-secret" not in str(caught.value)


def test_orthanc_starts_without_us_where_it_is_wrong(
    cbmir: Cbmir, following: Callable[..., Any], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("something else than a queue " * 100)
    for wrong, said in (
        ({"Archive": ""}, "Cbmir.Archive must be a text"),
        ({"Authority": "/nowhere/ca.pem"}, "Cbmir.Authority cannot be read"),
        ({"Queue": "/nowhere/below/queue.sqlite"}, "No such file or directory"),
        ({"Queue": str(other)}, "not a database"),
    ):
        orthanc = following(cbmir, **wrong)
        assert said in (orthanc.folder / "log").read_text(errors="replace")
    assert other.read_text().startswith("something else")
    assert cbmir.told == []
