from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cbmir.errors import DiskFull, Unavailable
from cbmir.files import write_whole, written_whole


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the kernel refuses to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_folder_is_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "state", b"good")
    with little_room(1000), pytest.raises(DiskFull, match="state"):
        write_whole(tmp_path / "state", bytes(5000))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert (tmp_path / "state").read_bytes() == b"good"


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def half() -> None:
        with written_whole(tmp_path / "half") as stream:
            stream.write(b"first half")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="below"):
        write_whole(tmp_path / "file" / "below", b"")


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unavailable, match="pipe is no file"):
        write_whole(tmp_path / "pipe", b"")
    assert (tmp_path / "pipe").is_fifo()
