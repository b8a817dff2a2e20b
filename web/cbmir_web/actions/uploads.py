"""Files that come over the web: kept under names of our own; the user's name is only ever shown."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from werkzeug.datastructures import FileStorage

from cbmir.errors import BadRequest, DiskFull, Unavailable
from cbmir.settings import Settings

LONGEST_NAME = 200


@dataclass(frozen=True)
class Upload:
    """Files kept in `settings.uploads / folder` as `0`, `1`, …; `names` gives the name the user gave to each."""

    folder: str
    names: dict[str, str]


def shown_name(given: str | None) -> str:
    """The base name of what a browser sent, without control characters; at most 200 characters."""
    base = (given or "").replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(character for character in base if character.isprintable())
    return printable[-LONGEST_NAME:].strip() or "unnamed"


def keep(settings: Settings, files: Sequence[FileStorage]) -> Upload:
    """Keep uploaded files until their job is done with them.

    Raises:
        cbmir.errors.BadRequest: if there is no file.
        cbmir.errors.DiskFull: if there is no room.
        cbmir.errors.Unavailable: if the folder cannot be written.
    """
    chosen = [file for file in files if file.filename]
    if not chosen:
        raise BadRequest("No file was sent.", "Choose at least one file.")
    folder = settings.uploads / uuid.uuid4().hex
    try:
        folder.mkdir(mode=0o700, parents=True)
        for number, file in enumerate(chosen):
            file.save(folder / str(number))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _translated(error, settings.uploads) from error
    return Upload(folder.name, {str(number): shown_name(file.filename) for number, file in enumerate(chosen)})


def discard(settings: Settings, upload: Upload) -> None:
    """Forget an upload that no job will use."""
    shutil.rmtree(settings.uploads / upload.folder, ignore_errors=True)


def _translated(error: OSError, folder: Path) -> Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("The disk for uploads is full.", "Free space, then send the files again.")
    return Unavailable(f"{folder} cannot be written: {error.strerror}.", "Check who owns the folder.")
