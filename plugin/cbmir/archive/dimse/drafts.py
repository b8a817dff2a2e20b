"""A received object on its way to the disk: a DICOM file (PS3.10 7), its data set written as its pieces come."""

from __future__ import annotations

import os
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta, encode_file_meta

from cbmir.archive.dimse.landing import FULL
from cbmir.archive.dimse.network import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NOT_AUTHORISED = 0x0124
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
"""What a C-STORE is answered with (PS3.4 B.2.3, PS3.7 C)."""


def header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, sender: str) -> bytes:
    """Preamble and File Meta Information of an object that `sender`, an AE title, sent (PS3.10 7.1)."""
    stand_in = "9" * len(sop_instance_uid)
    made = _header(sop_class_uid, stand_in, transfer_syntax_uid, sender)
    return made.replace(stand_in.encode(), sop_instance_uid.encode(), 1)


@lru_cache(1024)
def _header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, sender: str) -> bytes:
    meta = create_file_meta(
        sop_class_uid=UID(sop_class_uid),
        sop_instance_uid=UID(sop_instance_uid),
        transfer_syntax=UID(transfer_syntax_uid),
        implementation_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
    meta.SourceApplicationEntityTitle = sender
    return b"\0" * 128 + b"DICM" + encode_file_meta(meta)


class Draft(BytesIO):
    """What pynetdicom gathers a data set in: a file. Once `status` is none of success, the bytes go nowhere."""

    def __init__(self, path: Path, status: int = SUCCESS) -> None:
        super().__init__()
        self.path = path
        self.status = status
        self._file: BinaryIO | None = None
        if status == SUCCESS:
            try:
                self._file = path.open("xb")
            except OSError as error:
                self.fail(error)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Take the next piece."""
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                self.fail(error)
        return len(data)

    def finish(self, durable: bool) -> None:
        """All is written; with `durable` it is on the disk."""
        if self._file is not None:
            try:
                self._file.flush()
                if durable:
                    os.fsync(self._file.fileno())
                self._file.close()
            except OSError as error:
                self.fail(error)

    def discard(self) -> None:
        """Leave nothing of it; harmless after it has landed."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:  # bytes still in the buffer found no room
                self.status = _status(error)
            self.path.unlink(missing_ok=True)
            self._file = None

    def fail(self, error: OSError) -> None:
        """It cannot be kept for this reason."""
        self.status = _status(error)
        self.discard()


def _status(error: OSError) -> int:
    return OUT_OF_RESOURCES if error.errno in FULL else PROCESSING_FAILURE
