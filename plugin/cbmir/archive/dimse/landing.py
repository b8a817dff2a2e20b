"""The folder where received objects land: whole files under their SOP Instance UID, or nothing.

folder/1.2.3.dcm          an object, whole; sent again, it is replaced
folder/.4f1c….draft       one on its way, or what a crash left of it; swept at the start
folder/kept/1.2.3.dcm     one that was ingested and is kept
folder/.lock              held while a file comes to its place or leaves it
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cbmir.dicom.header import MAX_UID, UID
from cbmir.errors import Unavailable

KEPT = "kept"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Fsync(StrEnum):
    """When received bytes are forced to the disk. A process that is killed loses nothing under any of them: this is
    about the machine losing its power or its kernel."""

    ALWAYS = "always"
    """Before each success is answered: nothing acknowledged is lost."""
    ASSOCIATION = "association"
    """Before the end of an association is confirmed: objects of associations that were still open may be lost."""
    NEVER = "never"
    """When the system likes, within about half a minute: what was acknowledged since may be lost."""


def is_uid(text: str) -> bool:
    """Whether it can be a SOP Instance UID (PS3.5 9.1), and so a file's name."""
    return len(text) <= MAX_UID and UID.fullmatch(text) is not None


@dataclass(frozen=True)
class Received:
    """A file in the folder, as it was when it was found: `settle` does not touch a newer one of its name."""

    path: Path
    stamp: tuple[int, int, int]


class Landing:
    """A folder, its drafts, and how little may remain free on its disk.

    Args:
        folder: made where it is missing.
        keep_free: bytes that must remain free on its disk.
    """

    def __init__(self, folder: Path, keep_free: int = 0) -> None:
        self.folder = folder
        self.keep_free = keep_free
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"The folder {folder} cannot be made: {error.strerror}."
            raise Unavailable(reason, "Name another, or check the permissions.") from error

    def sweep(self) -> None:
        """Remove what a crash left half-written; only while nothing is being received."""
        for draft in self.folder.glob(".*.draft"):
            draft.unlink(missing_ok=True)

    def is_full(self) -> bool:
        """Whether the disk has less free than must remain."""
        return shutil.disk_usage(self.folder).free < self.keep_free

    def draft(self) -> Path:
        """A name for an object on its way."""
        return self.folder / f".{secrets.token_hex(12)}.draft"

    def land(self, draft: Path, sop_instance_uid: str) -> Path:
        """Give a draft that is whole its name; one that had it is replaced."""
        place = self.folder / f"{sop_instance_uid}.dcm"
        with self._locked():
            os.replace(draft, place)
        return place

    def received(self) -> Iterator[Received]:
        """The files that wait, each as it is now."""
        for entry in os.scandir(self.folder):
            if entry.name.endswith(".dcm") and not entry.name.startswith("."):
                yield Received(Path(entry.path), _stamp(entry.stat()))

    def settle(self, file: Received, keep: bool) -> bool:
        """Remove a file that was ingested, or move it to the kept ones; False if a newer one came in its place."""
        with self._locked():
            try:
                if _stamp(file.path.stat()) != file.stamp:
                    return False
            except FileNotFoundError:
                return False
            if keep:
                (self.folder / KEPT).mkdir(exist_ok=True)
                os.replace(file.path, self.folder / KEPT / file.path.name)
            else:
                file.path.unlink()
        return True

    def holder(self, sop_instance_uid: str) -> Path | None:
        """The file that holds the object's bytes, waiting or kept."""
        if not is_uid(sop_instance_uid):
            return None
        name = f"{sop_instance_uid}.dcm"
        places = (self.folder / name, self.folder / KEPT / name)  # in the order in which a file moves
        return next((place for place in places if place.is_file()), None)

    def flush(self, files: Iterable[Path]) -> None:
        """Force files and their places in their folders to the disk; those that left meanwhile are passed over."""
        folders = set()
        for file in files:
            folders.add(file.parent)
            _flush(file)
        for folder in folders:
            _flush(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _flush(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
