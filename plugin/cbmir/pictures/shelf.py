"""Every 2D picture once, in a file named after its content."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np

from cbmir import files
from cbmir.errors import BrokenFile, DiskFull, NotFound, Unavailable
from cbmir.pictures import stored
from cbmir.types import ByteArray

log = logging.getLogger(__name__)

KEY = re.compile(r"[0-9a-f]{64}")

PARTS = 256
"""Into so many parts the keys fall by their first two digits, and the files by their folders."""


class Shelf:
    """A folder of TIFF files, a level deep: `ab/abcd….tif`. Safe for many processes at once.

    What an earlier version kept, `ab/cd/abcd….png`, stays and counts as well.
    """

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made when the first picture arrives."""
        self._folder = folder

    def put(self, pixels: ByteArray) -> str:
        """Keep a picture; one that is there already is left as it is.

        Args:
            pixels: uint8 (rows, columns) or (rows, columns, 3).

        Returns:
            Its key: SHA-256 of shape and pixels, 64 hexadecimal digits.

        Raises:
            cbmir.errors.DiskFull, cbmir.errors.Unavailable: if it cannot be written.
        """
        with self.together() as put:
            return put(pixels)

    @contextmanager
    def together(self) -> Iterator[Callable[[ByteArray], str]]:
        """Keep pictures as `put` does, by the function that this gives, all of them or none: they are written one
        by one, and stand on the shelf once the block has ended well. Memory: one picture.

        Raises:
            as `put`.
        """
        drafts: dict[Path, Path] = {}

        def put(pixels: ByteArray) -> str:
            pixels = np.ascontiguousarray(pixels, np.uint8)
            key = _key(pixels)
            path = self._path(key)
            if path not in drafts and not any(_is_whole(each) and _touched(each) for each in self._paths(key)):
                with _translated():
                    drafts[path] = _draft(path, stored.packed(pixels))
            return key

        try:
            yield put
            with _translated():
                for path, draft in drafts.items():
                    draft.replace(path)
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)

    def get(self, key: str) -> ByteArray:
        """The picture's pixels, uint8 (rows, columns) or (rows, columns, 3).

        Raises:
            cbmir.errors.NotFound: if there is none of that key.
            cbmir.errors.BrokenFile: if its file is damaged.
        """
        try:
            return stored.unpacked(self._read(key))
        except stored.Damaged as error:
            raise BrokenFile(f"The stored picture {key} is damaged.", "Ingest its object again.") from error

    def png(self, key: str, side: int | None = None) -> bytes:
        """The picture as a PNG file's bytes; with `side`, a thumbnail whose longer side is at most that.

        Raises:
            as `get`.
        """
        return stored.png(self.get(key), side)

    def _read(self, key: str) -> bytes:
        for path in self._paths(key):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            if data.endswith(stored.ENDS[path.suffix]):
                return data
        raise _missing(key)

    def has(self, key: str) -> bool:
        """Whether there is a whole picture of that key."""
        return KEY.fullmatch(key) is not None and any(map(_is_whole, self._paths(key)))

    def discard(self, key: str) -> None:
        """Remove a picture; no harm if it is gone already.

        Raises:
            cbmir.errors.NotFound: if it is no key at all.
        """
        for path in self._paths(key):
            path.unlink(missing_ok=True)

    def put_before(self, moment: float, part: int) -> list[str]:
        """Keys, in one of the `PARTS`, of the pictures that nobody has put since a moment, in seconds as of
        `time.time`."""
        folder = self._folder / f"{part:02x}"
        paths = chain(folder.glob(f"*{stored.SUFFIX}"), folder.glob(f"*/*{stored.EARLIER}"))
        return [path.stem for path in paths if KEY.fullmatch(path.stem) and _put_at(path) < moment]

    def is_put_before(self, moment: float, key: str) -> bool:
        """Whether there is a picture of this key, and nobody has put it since."""
        moments = [_put_at(path) for path in self._paths(key) if path.exists()]
        return bool(moments) and max(moments) < moment

    def discard_drafts(self, seconds: float) -> None:
        """Remove what a process that died was about to put, if it is as old as that."""
        for folders in ("*/", "*/*/"):  # where files are written, and where earlier versions wrote theirs
            files.discard_left(self._folder, f"{folders}{files.DRAFTS}", seconds)

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise _missing(key)
        return self._folder / key[:2] / f"{key}{stored.SUFFIX}"

    def _paths(self, key: str) -> tuple[Path, Path]:
        """Where the picture may be: its place today, and that of earlier versions."""
        path = self._path(key)
        return path, path.parent / key[2:4] / f"{key}{stored.EARLIER}"


def _key(pixels: ByteArray) -> str:
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels.data)
    return digest.hexdigest()


def _missing(key: str) -> NotFound:
    return NotFound(f"There is no picture {key[:64]!r}.", "Ingest its object again.")


def _is_whole(path: Path) -> bool:
    """Whether the picture is there and has its end."""
    end = stored.ENDS[path.suffix]
    try:
        with path.open("rb") as stream:
            stream.seek(-len(end), os.SEEK_END)
            return stream.read() == end
    except OSError:
        return False


def _touched(path: Path) -> bool:
    """Note that somebody puts the picture which is there; False if it is there no more."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError as error:  # what nobody may write nobody can discard either
        log.debug("a stored picture keeps its time: %s", error.strerror)
    return True


def _put_at(path: Path) -> float:
    """When the picture was last put; never, for one that is not there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _begun(folder: Path) -> tuple[int, str]:
    try:
        return tempfile.mkstemp(dir=folder, prefix=".", suffix=".draft")
    except FileNotFoundError:  # asked only then: a folder that is there takes as long to be made as a file
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(dir=folder, prefix=".", suffix=".draft")


def _draft(path: Path, data: bytes) -> Path:
    """A file beside the place, to be renamed: no reader ever sees half a picture."""
    handle, draft = _begun(path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return Path(draft)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk of the pictures is full.", "Free some space, then run it again.") from error
        raise Unavailable(f"The pictures cannot be written: {error.strerror}.", "Check the data folder.") from error
