"""The shelf: what is put there is found again, once, whole, and by its content."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cbmir.errors import DiskFull, NotFound, Unavailable
from cbmir.pictures.shelf import Shelf

GREY = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "pictures")


@pytest.mark.parametrize("pixels", [GREY, RGB, GREY[:1, :1]], ids=["grey", "rgb", "one pixel"])
def test_a_picture_comes_back_as_it_was(shelf: Shelf, pixels: Any) -> None:
    assert np.array_equal(shelf.get(shelf.put(pixels)), pixels)


def test_the_key_is_of_shape_and_content(shelf: Shelf) -> None:
    key = shelf.put(GREY)
    assert len(key) == 64
    assert shelf.put(GREY.copy()) == key
    assert shelf.put(np.asfortranarray(GREY)) == key
    assert len({key, shelf.put(GREY.reshape(40, 30)), shelf.put(GREY + 1)}) == 3


def test_files_lie_two_levels_deep_and_once(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.put(GREY)
    shelf.put(GREY)
    files = [
        path.relative_to(tmp_path / "pictures") for path in (tmp_path / "pictures").rglob("*") if path.is_file()
    ]
    assert files == [Path(key[:2], key[2:4], f"{key}.png")]


def test_many_writers_of_one_picture_do_no_harm(shelf: Shelf, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(shelf.put, [RGB] * 40))
    (key,) = keys
    assert np.array_equal(shelf.get(key), RGB)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_thumbnails_keep_the_aspect_and_never_grow(shelf: Shelf) -> None:
    key = shelf.put(RGB)
    for side, size in ((20, (20, 15)), (400, (40, 30))):
        with Image.open(BytesIO(shelf.png(key, side))) as image:
            assert (image.format, image.size) == ("PNG", size)
    with Image.open(BytesIO(shelf.png(key))) as image:
        assert np.array_equal(np.asarray(image), RGB)


@pytest.mark.parametrize("key", ["", "ab", "../../../etc/passwd", "A" * 64, "0" * 63 + "/", "0" * 65, "0" * 64])
def test_what_is_no_key_or_not_there_is_not_found(shelf: Shelf, key: str) -> None:
    with pytest.raises(NotFound):
        shelf.png(key)
    with pytest.raises(NotFound):
        shelf.get(key)


@pytest.mark.parametrize("left", [b"", b"\x89PNG\r\n\x1a\n", bytes(5000)])
def test_a_picture_that_a_power_failure_emptied_is_missing_and_can_be_put_again(
    shelf: Shelf, tmp_path: Path, left: bytes
) -> None:
    key = shelf.put(GREY)
    next((tmp_path / "pictures").rglob("*.png")).write_bytes(left)
    with pytest.raises(NotFound):
        shelf.get(key)
    assert shelf.put(GREY) == key
    assert np.array_equal(shelf.get(key), GREY)


def test_discarding(shelf: Shelf) -> None:
    key = shelf.put(GREY)
    shelf.discard(key)
    shelf.discard(key)
    with pytest.raises(NotFound):
        shelf.get(key)
    with pytest.raises(NotFound):
        shelf.discard("../x")


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, DiskFull), (errno.EROFS, Unavailable)])
def test_a_failing_disk_leaves_no_half_picture(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(error):
        shelf.put(GREY)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
