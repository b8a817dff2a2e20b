"""Files handed in from disk: single files, folders, zips and DICOMDIR media (PS3.10, PS3.3 F)."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cbmir.archive.zips import is_zip, zip_member, zip_members
from cbmir.dicom.directory import referenced_files
from cbmir.errors import CbmirError, NotAPicture, NotFound, UnusableInput
from cbmir.settings import Settings

SIDECARS = frozenset({"dicomdir", "thumbs.db", "desktop.ini", "__macosx"})
"""Names that systems leave beside pictures; hidden files are passed over as well."""


Content = bytes | Path
"""A file's bytes; its path, if it is too large to be read at once."""

NO_UTF8 = re.compile(r"\\(udc[89a-f][0-9a-f])")
"""A byte of a file name that is no UTF-8, as it is kept."""

IN_MEMORY = 64 * 1024 * 1024
"""Bytes of a file up to which it is read at once."""


@dataclass(frozen=True)
class Source:
    """One file to ingest.

    Attributes:
        file_name: path below the folder or the zip that was handed in, with forward slashes.
        origin: where the bytes are: an absolute path, or `zip!member`.
        read: gives the content; raises UnusableInput or OSError.
        path: of the file on disk, by which a manifest knows it; None within a zip.
    """

    file_name: str
    origin: str
    read: Callable[[], Content]
    path: Path | None = None


@dataclass(frozen=True)
class Unlisted:
    """A zip or a DICOMDIR, or an entry of one, that could not be followed.

    Attributes:
        file_name, origin: as of a source.
        error: why.
        sha256: of its bytes; empty where there are none, or nobody could read them.
    """

    file_name: str
    origin: str
    error: CbmirError
    sha256: str = ""


def find_sources(paths: Iterable[Path], settings: Settings) -> Iterator[Source | Unlisted]:
    """All files below `paths`, sorted within each folder; zips and DICOMDIRs are looked into, by content.

    Folders are listed as their turn comes; the installation's own, which grows meanwhile, is passed over.

    Args:
        paths: files, folders, zips, DICOMDIRs.
        settings: for the bounds on sizes, and where the installation is.
    """
    for path in (path.absolute() for path in paths):  # whoever reads it again may work elsewhere
        if path.is_dir():
            for file in _walk(path, settings.data):
                found = [file] if isinstance(file, Unlisted) else _of_file(file, _below_name(file, path), settings)
                yield from found
        elif _is_dicomdir(path):
            yield from _of_dicomdir(path, settings)
        else:
            yield from _of_file(path, path.name, settings)


def count_sources(paths: Iterable[Path], settings: Settings) -> int:
    """How many files `find_sources` finds, told without opening those of a folder: a zip there counts as one."""
    return sum(1 for path in paths for _ in _counted(path.absolute(), settings))


def _counted(path: Path, settings: Settings) -> Iterator[object]:
    return _walk(path, settings.data) if path.is_dir() else find_sources([path], settings)


def named_sources(files: Iterable[tuple[Path, str]], settings: Settings) -> Iterator[Source | Unlisted]:
    """Files whose names on disk are not those that the user gave them: (path, file name)."""
    for path, file_name in files:
        yield from _of_file(path, file_name, settings)


def sources_at(origin: str, file_name: str, settings: Settings) -> Iterator[Source | Unlisted]:
    """What lies where a file once came from: itself, the members of a zip, the files of a DICOMDIR.

    Args:
        origin: as `Source.origin`: a path, or `zip!member`.
        file_name: how it is called.
        settings: for the bounds on sizes.

    Raises:
        cbmir.errors.NotFound: if there is nothing any more.
    """
    path = Path(_as_named(origin))
    if origin and path.is_file():
        yield from _of_dicomdir(path, settings) if _is_dicomdir(path) else _of_file(path, file_name, settings)
        return
    source = _member_at(origin, file_name, settings)
    if source is None:
        raise NotFound(f"{file_name} is no longer where it was.", "Ingest it again from where it is now.")
    yield source


def _member_at(origin: str, file_name: str, settings: Settings) -> Source | Unlisted | None:
    """The member of a zip that `zip!member` names; either name may hold an exclamation mark itself."""
    for place in (place for place, character in enumerate(origin) if character == "!"):
        path, name = Path(_as_named(origin[:place])), origin[place + 1 :]
        try:
            if path.is_file() and is_zip(path) and (member := zip_member(path, name, file_name, settings)):
                return Source(file_name, origin, member.read)
        except OSError as error:
            return Unlisted(file_name, origin, unreadable(file_name, error))
        except UnusableInput as error:
            return Unlisted(file_name, origin, error)
    return None


def _is_dicomdir(path: Path) -> bool:
    return path.name.upper() == "DICOMDIR"


def _walk(folder: Path, own: Path) -> Iterator[Path | Unlisted]:
    """The files of a folder and those below it, but for our own; what cannot be looked into, and links to folders,
    are said."""
    closed: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not _is_sidecar(name) and not _is_at(own, parent, name))
        yield from (_linked(Path(parent, name), folder) for name in folders if Path(parent, name).is_symlink())
        yield from (Path(parent, name) for name in sorted(files) if not _is_sidecar(name))
    for error in closed:
        name = _below_name(Path(error.filename), folder)
        yield Unlisted(name, _utf8(error.filename), unreadable(name, error))


def _is_at(own: Path, parent: str, name: str) -> bool:
    return name == own.name and own.exists() and own.samefile(Path(parent, name))


def _linked(path: Path, folder: Path) -> Unlisted:
    name = _below_name(path, folder)
    reason = f"{name} is a link to a folder, which is not followed."
    return Unlisted(name, _utf8(path), NotFound(reason, "Hand in the folder that it leads to."))


def _below_name(path: Path, folder: Path) -> str:
    return _utf8(path.relative_to(folder).as_posix())


def _utf8(name: Path | str) -> str:
    """A name that can be kept and printed: bytes that are no UTF-8 are written as `\\udcNN`."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")


def _as_named(origin: str) -> str:
    """What `_utf8` was given."""
    return NO_UTF8.sub(lambda found: chr(int(found[1][1:], 16)), origin)


def _is_sidecar(name: str) -> bool:
    return name.startswith(".") or name.lower() in SIDECARS


def _of_file(path: Path, file_name: str, settings: Settings) -> Iterator[Source | Unlisted]:
    file_name = _utf8(file_name)
    try:
        _refuse_special(path, file_name)
        if is_zip(path):
            yield from _of_zip(path, file_name, settings)
        else:
            yield _plain(path, file_name, settings)
    except OSError as error:
        yield Unlisted(file_name, _utf8(path), unreadable(file_name, error))
    except UnusableInput as error:
        yield Unlisted(file_name, _utf8(path), error)


def _of_zip(path: Path, file_name: str, settings: Settings) -> Iterator[Source | Unlisted]:
    try:
        for member in zip_members(path, file_name, settings):
            yield Source(member.file_name, f"{_utf8(path)}!{member.name}", member.read)
    except UnusableInput as error:
        yield Unlisted(file_name, _utf8(path), error, sha256_of(path))


def _refuse_special(path: Path, file_name: str) -> None:
    """Refuse what has no end, or waits for a writer: devices, pipes, sockets."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotAPicture(f"{file_name} is no regular file but a device, a pipe or a socket.", "Hand in a file.")


def _plain(path: Path, file_name: str, settings: Settings) -> Source:
    return replace(source_of(path, file_name, _utf8(path), settings), path=path.resolve())


def source_of(path: Path, file_name: str, origin: str, settings: Settings, *, is_ours: bool = False) -> Source:
    """A file on disk that came from somewhere else, which `origin` names.

    One that is ours, and so stays as it is, gives its path as its content: whoever converts it reads it.
    """
    return Source(file_name, origin, (lambda: path) if is_ours else partial(content_of, path, settings))


def content_of(path: Path, settings: Settings) -> Content:
    """What is in a file; its path, if it is too large to be read at once.

    Raises:
        OSError: if it cannot be read.
    """
    return path if path.stat().st_size > min(IN_MEMORY, settings.max_file_bytes) else path.read_bytes()


def _of_dicomdir(path: Path, settings: Settings) -> Iterator[Source | Unlisted]:
    root = path.parent.resolve()
    try:
        _refuse_special(path, path.name)
        data = path.read_bytes()
    except OSError as error:
        yield Unlisted(path.name, str(path), unreadable(path.name, error))
        return
    except UnusableInput as error:
        yield Unlisted(path.name, str(path), error)
        return
    try:
        listed = referenced_files(data, path.name)
    except UnusableInput as error:
        yield Unlisted(path.name, str(path), error, sha256_of(data))
        return
    for parts in listed:
        name = "/".join(parts)
        file = _below(root, parts)
        if file:
            yield _plain(file, name, settings)
        else:
            yield Unlisted(name, str(path), NotFound(f"{name} is listed in {path.name} but is not there."))


def _below(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The file of these path components, if there is one below `root` and nowhere else."""
    try:
        file = root.joinpath(*parts).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError):  # a name too long for the system, or one with a NUL in it
        return None


def size_of(content: Content) -> int:
    """Bytes of a file."""
    return content.stat().st_size if isinstance(content, Path) else len(content)


def sha256_of(content: Content) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(file_name: str, error: OSError) -> CbmirError:
    """The operating system's refusal in our words."""
    return NotFound(
        f"{file_name} cannot be read: {error.strerror or error}.", "Check that it exists and may be read."
    )
