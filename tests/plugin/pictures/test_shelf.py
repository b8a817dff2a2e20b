"""The shelf: what is put there is found again, once, whole, and by its content."""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cbmir.errors import BrokenFile, DiskFull, NotFound, Unavailable
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


def files(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def test_files_lie_a_level_deep_and_once(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.put(GREY)
    shelf.put(GREY)
    assert files(tmp_path / "pictures") == [Path(key[:2], f"{key}.tif")]


@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_other_programs_read_a_file(shelf: Shelf, tmp_path: Path, pixels: Any) -> None:
    shelf.put(pixels)
    (path,) = (tmp_path / "pictures").rglob("*.tif")
    assert np.array_equal(tifffile.imread(path), pixels)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.fixture
def earlier(shelf: Shelf, tmp_path: Path) -> str:
    """The key of a picture that an earlier version kept, as a PNG and a level deeper."""
    key = shelf.put(RGB)
    shelf.discard(key)
    path = tmp_path / "pictures" / key[:2] / key[2:4] / f"{key}.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(RGB).save(path)
    return key


def test_what_an_earlier_version_kept_stays_and_counts(shelf: Shelf, tmp_path: Path, earlier: str) -> None:
    assert shelf.has(earlier)
    assert np.array_equal(shelf.get(earlier), RGB)
    (path,) = files(tmp_path / "pictures")
    long_ago = time.time() - 1000
    os.utime(tmp_path / "pictures" / path, (long_ago, long_ago))
    assert shelf.put_before(long_ago + 1, int(earlier[:2], 16)) == [earlier]
    assert shelf.is_put_before(long_ago + 1, earlier)

    assert shelf.put(RGB) == earlier
    assert files(tmp_path / "pictures") == [path], "it is not kept twice"
    assert not shelf.is_put_before(long_ago + 1, earlier), "it is as young as its last putting"
    shelf.discard(earlier)
    assert files(tmp_path / "pictures") == []


def test_an_earlier_file_that_was_never_filled_does_not_count(shelf: Shelf, tmp_path: Path, earlier: str) -> None:
    (path,) = (tmp_path / "pictures").rglob("*.png")
    path.write_bytes(bytes(5000))
    os.utime(path, (0, 0))
    assert not shelf.has(earlier)
    assert shelf.put(RGB) == earlier
    assert np.array_equal(shelf.get(earlier), RGB)
    assert not shelf.is_put_before(time.time() - 1000, earlier), "the new one is not as old as the other"


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


@pytest.mark.parametrize("left", [b"", b"II*\x00", bytes(5000)])
def test_a_picture_that_a_power_failure_emptied_is_missing_and_can_be_put_again(
    shelf: Shelf, tmp_path: Path, left: bytes
) -> None:
    key = shelf.put(GREY)
    next((tmp_path / "pictures").rglob("*.tif")).write_bytes(left)
    with pytest.raises(NotFound):
        shelf.get(key)
    assert shelf.put(GREY) == key
    assert np.array_equal(shelf.get(key), GREY)


def test_a_damaged_file_is_told_of(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.put(GREY)
    (path,) = (tmp_path / "pictures").rglob("*.tif")
    data = path.read_bytes()
    path.write_bytes(data[:8] + bytes(len(data) - 40) + data[-32:])
    with pytest.raises(BrokenFile, match=f"stored picture {key} is damaged"):
        shelf.get(key)


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
