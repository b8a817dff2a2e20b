"""Every 2D picture once, as a PNG file named after its content."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from cbmir.errors import BrokenFile, DiskFull, NotFound, Unavailable
from cbmir.types import ByteArray

log = logging.getLogger(__name__)

KEY = re.compile(r"[0-9a-f]{64}")

PARTS = 256
"""Into so many parts the keys fall by their first two digits, and the files by their folders."""

COMPRESSION = 1
"""zlib's level for stored pictures: a tenth larger than the default, and several times as fast."""


END = b"IEND\xaeB`\x82"
"""The last bytes of every PNG file (ISO 15948 11.2.5)."""


class Shelf:
    """A folder of PNG files, two levels deep: `ab/cd/abcd….png`. Safe for many processes at once."""

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
            key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
            path = self._path(key)
            if path not in drafts and not (_is_whole(path) and _touched(path)):
                with _translated():
                    drafts[path] = _draft(path, _stored(pixels))
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
        data = self.png(key)
        try:
            return np.asarray(imagecodecs.png_decode(data), np.uint8)
        except (imagecodecs.PngError, ValueError) as error:
            raise BrokenFile(f"The stored picture {key} is damaged.", "Ingest its object again.") from error

    def png(self, key: str, side: int | None = None) -> bytes:
        """The picture as a PNG file's bytes; with `side`, a thumbnail whose longer side is at most that.

        Raises:
            cbmir.errors.NotFound: if there is none of that key, or it is no key at all.
        """
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise _missing(key) from error
        if not data.endswith(END):
            raise _missing(key)
        if side is None:
            return data
        image = Image.open(BytesIO(data), formats=("PNG",))
        image.thumbnail((side, side), Image.Resampling.BOX)
        return _png(image)

    def has(self, key: str) -> bool:
        """Whether there is a whole picture of that key."""
        return KEY.fullmatch(key) is not None and _is_whole(self._path(key))

    def discard(self, key: str) -> None:
        """Remove a picture; no harm if it is gone already.

        Raises:
            cbmir.errors.NotFound: if it is no key at all.
        """
        self._path(key).unlink(missing_ok=True)

    def put_before(self, moment: float, part: int) -> list[str]:
        """Keys, in one of the `PARTS`, of the pictures that nobody has put since a moment, in seconds as of
        `time.time`."""
        paths = (self._folder / f"{part:02x}").glob("*/*.png")
        return [path.stem for path in paths if KEY.fullmatch(path.stem) and _put_at(path) < moment]

    def is_put_before(self, moment: float, key: str) -> bool:
        """Whether there is a picture of this key, and nobody has put it since."""
        return _put_at(self._path(key)) < moment

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise _missing(key)
        return self._folder / key[:2] / key[2:4] / f"{key}.png"


def _missing(key: str) -> NotFound:
    return NotFound(f"There is no picture {key[:64]!r}.", "Ingest its object again.")


def _is_whole(path: Path) -> bool:
    """Whether the picture is there and has its end: a power failure may leave a file that was never filled."""
    try:
        with path.open("rb") as stream:
            stream.seek(-len(END), os.SEEK_END)
            return stream.read() == END
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


def _stored(pixels: ByteArray) -> bytes:
    # filtered by the row above, run-length coded: real pictures are as small as by Pillow, in a quarter of the time
    how = {"level": COMPRESSION, "strategy": imagecodecs.PNG.STRATEGY.RLE, "filter": imagecodecs.PNG.FILTER.UP}
    return bytes(imagecodecs.png_encode(pixels, **how))


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", compress_level=COMPRESSION)
    return stream.getvalue()


def _draft(path: Path, data: bytes) -> Path:
    """A file beside the place, to be renamed: no reader ever sees half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
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
