"""Files that are whole or not there: written beside their place, made durable where it matters, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cbmir.errors import DiskFull, Unavailable

DRAFTS = ".*.draft"
"""What `written_whole` writes until it is whole, and a killed process leaves."""


@contextmanager
def written_whole(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A stream whose content stands at `path` once the block ends well, and nowhere if it does not.

    Args:
        path: its place.
        durable: whether it must outlive a power failure; it takes the disk's time.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it.
        cbmir.errors.Unavailable: if it cannot be written for another reason.
    """
    with translated(path):
        if path.exists() and not path.is_file():  # a device, for instance
            raise Unavailable(f"{path.name} is no file, and is not replaced by one.", "Name a file, or a new one.")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.replace(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, replacing what was there; the folder is made where it is missing.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it.
        cbmir.errors.Unavailable: if it cannot be written for another reason.
    """
    with written_whole(path) as stream:
        stream.write(data)


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content stands at `path` as it comes, for what is of use before it is whole.

    Raises:
        as `written_whole`.
    """
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            yield stream


def discard_left(folder: Path, pattern: str, seconds: float) -> int:
    """Remove files and folders of this pattern that nothing was added to for so long: their process has died.

    Returns:
        How many.
    """
    oldest, discarded = time.time() - seconds, 0
    for left in folder.glob(pattern):
        with suppress(FileNotFoundError):  # another process was quicker
            if left.stat().st_mtime < oldest:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
                discarded += 1
    return discarded


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What keeps a file from being written leaves the block as `DiskFull` or `Unavailable`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(
                f"The disk is full: {path.name} cannot be written.", "Free space, then repeat."
            ) from error
        raise Unavailable(
            f"{path.name} cannot be written: {error.strerror}.", "Check its folder and the permissions there."
        ) from error
