"""The folder where received objects land: whole files under their SOP Instance UID, or nothing.

folder/1.2.3.dcm          an object, whole; sent again, it is replaced
folder/.4f1c….draft       one on its way, or what a crash left of it; swept by the next receiver that is alone
folder/taken/1.2.3.dcm    one that is being ingested
folder/kept/1.2.3.dcm     one that was ingested and is kept, if `kept` is there
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path

from cbmir.dicom.header import MAX_UID, UID
from cbmir.errors import Unavailable

TAKEN, KEPT = "taken", "kept"
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


def _is_alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_uid(text: str) -> bool:
    """Whether it can be a SOP Instance UID (PS3.5 9.1), and so a file's name."""
    return len(text) <= MAX_UID and UID.fullmatch(text) is not None


class Landing:
    """A folder, its drafts, and how little may remain free on its disk.

    Args:
        folder: made where it is missing.
        keep_free: bytes that must remain free on its disk.
    """

    def __init__(self, folder: Path, keep_free: int = 0) -> None:
        self.folder = folder
        self.keep_free = keep_free
        self._held = ExitStack()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"The folder {folder} cannot be made: {error.strerror}."
            raise Unavailable(reason, "Name another, or check the permissions.") from error

    def enter(self) -> None:
        """Receive here from now on. Who is alone removes what a crash left half-written: another receiver's drafts
        may be on their way.

        Raises:
            cbmir.errors.Unavailable: if the folder cannot be locked.
        """
        try:
            lock = os.open(self.folder, os.O_RDONLY)
            self._held.callback(os.close, lock)
            if _is_alone(lock):
                for draft in self.folder.glob(".*.draft"):
                    draft.unlink(missing_ok=True)
            fcntl.flock(lock, fcntl.LOCK_SH)
        except OSError as error:
            reason = f"The folder {self.folder} cannot be locked: {error.strerror}."
            raise Unavailable(reason, "Receive on a file system that knows locks.") from error

    def leave(self) -> None:
        """Receive here no longer."""
        self._held.close()

    def is_full(self) -> bool:
        """Whether the disk has less free than must remain."""
        return shutil.disk_usage(self.folder).free < self.keep_free

    def draft(self) -> Path:
        """A name for an object on its way."""
        return self.folder / f".{secrets.token_hex(12)}.draft"

    def land(self, draft: Path, sop_instance_uid: str) -> Path:
        """Give a draft that is whole its name; one that had it is replaced."""
        place = self.folder / f"{sop_instance_uid}.dcm"
        os.replace(draft, place)
        return place

    def keep(self) -> None:
        """From now on keep what was ingested; to stop that, the folder `kept` is removed by hand."""
        (self.folder / KEPT).mkdir(exist_ok=True)

    def holder(self, sop_instance_uid: str) -> Path | None:
        """The file that holds the object's bytes: waiting, taken or kept."""
        if not is_uid(sop_instance_uid):
            return None
        name = f"{sop_instance_uid}.dcm"
        places = (self.folder / where / name for where in ("", TAKEN, KEPT))  # in the order in which a file moves
        return next((place for place in places if place.is_file()), None)


def resting_place(file: Path) -> Path | None:
    """Where an object in a receiver's folder `taken` is kept once it is ingested; None if it is not kept."""
    kept = file.parent.parent / KEPT
    return kept / file.name if kept.is_dir() else None


def settle(file: Path) -> None:
    """An object in a receiver's folder `taken` is ingested: keep it if there is a folder `kept`, else remove it."""
    if place := resting_place(file):
        os.replace(file, place)
    else:
        file.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Force a file, or which files stand in a folder, to the disk; one that left meanwhile is passed over."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
