"""Zip files: members are read one at a time into memory, never unpacked to disk, and never beyond a bound."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from cbmir.errors import BrokenFile, ImplausibleSize, UnsafeArchive
from cbmir.settings import Settings

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The methods that are unpacked piece by piece; of the others a few bytes can unpack to gigabytes in one step."""

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, ValueError, RuntimeError)
"""What zipfile raises on damaged or strange files; NotImplementedError and UnicodeDecodeError are among these."""

CHUNK_BYTES = 1024 * 1024
LONGEST_NAME = 1000
REMEDY = "Unpack the zip yourself and ingest the folder."

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")

SUSPICIOUS_RATIO = 150
"""Deflate shrinks a picture's black border by at most 1,032, a whole archive of pictures hardly by 10."""

SUSPICIOUS_FROM_BYTES = 256 * 1024 * 1024
"""Below this size a high ratio does no harm."""


@dataclass(frozen=True)
class Member:
    """One file within a zip: its name there, the name to show, and its bytes on demand."""

    name: str
    file_name: str
    read: Callable[[], bytes]


def is_zip(path: Path) -> bool:
    """Whether the file begins as a zip does."""
    with path.open("rb") as file:
        return file.read(4) in MAGIC


def zip_members(path: Path, file_name: str, settings: Settings) -> Iterator[Member]:
    """The files of a zip, in the zip's order.

    Raises:
        cbmir.errors.BrokenFile: if its table of contents cannot be read.
        cbmir.errors.UnsafeArchive: if it would unpack beyond all measure; nothing has been unpacked then.
    """
    try:
        files = [info for info in _opened(path).infolist() if _is_wanted(info)]
    except DAMAGE as error:
        raise BrokenFile(f"{file_name} is a damaged zip: {error}.", "Make the zip again.") from error
    _refuse_bomb(files, file_name, path.stat().st_size, settings)
    for info in files:
        yield Member(info.filename, _shown(info.filename), _reader(path, info, settings))


def zip_member(path: Path, name: str, file_name: str, settings: Settings) -> Member | None:
    """The member of this name; None if there is none.

    Raises:
        cbmir.errors.BrokenFile: if the zip's table of contents cannot be read.
    """
    try:
        info = _opened(path).NameToInfo.get(name)
    except DAMAGE as error:
        raise BrokenFile(f"{file_name} is a damaged zip: {error}.", "Make the zip again.") from error
    return Member(name, file_name, _reader(path, info, settings)) if info and _is_wanted(info) else None


def _shown(name: str) -> str:
    """A member's name without what would steer a terminal, or begin a line of its own."""
    return "".join(character for character in name if character.isprintable())[:LONGEST_NAME]


def _opened(path: Path) -> zipfile.ZipFile:
    found = path.stat()
    return _opened_as(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _opened_as(path: Path, _changed: int, _size: int) -> zipfile.ZipFile:
    # reading the table of contents again for each member would make a large zip quadratic
    return zipfile.ZipFile(path)


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename).parts or (info.filename,)
    return (
        not info.is_dir()
        and parts[-1].upper() != "DICOMDIR"
        and not any(part == "__MACOSX" or (part.startswith(".") and part.strip(".")) for part in parts)
    )


def _refuse_bomb(files: list[zipfile.ZipInfo], file_name: str, packed: int, settings: Settings) -> None:
    unpacked = sum(info.file_size for info in files)
    suspicious = unpacked > max(SUSPICIOUS_FROM_BYTES, SUSPICIOUS_RATIO * packed)
    if suspicious or unpacked > settings.max_unpacked_bytes:
        raise UnsafeArchive(
            f"{file_name} would unpack from {packed:,} to {unpacked:,} bytes: it looks like a zip bomb.",
            "Unpack it yourself if you trust it, then ingest the folder.",
        )


def _reader(path: Path, info: zipfile.ZipInfo, settings: Settings) -> Callable[[], bytes]:
    shown = _shown(info.filename)

    def read() -> bytes:
        if info.file_size > settings.max_file_bytes:
            raise ImplausibleSize(
                f"{shown} has {info.file_size:,} bytes, more than the {settings.max_file_bytes:,} allowed.",
                "Raise CBMIR_MAX_FILE_BYTES if it is meant to be that large.",
            )
        if info.flag_bits & 1 or info.compress_type not in METHODS:
            how = "encrypted" if info.flag_bits & 1 else "packed by a method that is not read here"
            raise BrokenFile(f"{shown} is {how}.", REMEDY)
        try:
            return _unpacked(path, info)
        except DAMAGE as error:
            raise BrokenFile(f"{shown} is damaged: {error}.", REMEDY) from error

    return read


def _unpacked(path: Path, info: zipfile.ZipInfo) -> bytes:
    # piece by piece, so that no more is unpacked than the size that was checked, whatever the member holds
    with _opened(path).open(info) as stream:
        return b"".join(iter(lambda: stream.read(CHUNK_BYTES), b""))
