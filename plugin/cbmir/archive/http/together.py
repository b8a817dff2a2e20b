"""Objects of a series that come by one answer: told apart by their first bytes, and written as they come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path

from cbmir.archive.base import RemoteInstance
from cbmir.archive.identity import HEAD, is_uid, uid_at_head
from cbmir.errors import ArchiveGarbled, ArchiveRefused, ArchiveUnavailable, NotFound
from cbmir.files import written_whole

FAILURES = 3
"""After so many series in a row that broke off, or brought nothing, none is asked for as a whole: the archive is
one that cannot."""

Pieces = Generator[bytes, None, None]


class Together:
    """Whole series, from an archive that gives them.

    Args:
        download: gives the objects of an object's series one after the other; an empty piece ends each.
    """

    def __init__(self, download: Callable[[RemoteInstance], Pieces]) -> None:
        self._download = download
        self._failures = 0

    @property
    def works(self) -> bool:
        """Whether it is worth asking."""
        return self._failures < FAILURES

    def files(
        self, series: RemoteInstance, wanted: Collection[str], folder: Path, heeded: Callable[[Pieces], Pieces]
    ) -> Iterator[tuple[str, Path]]:
        """The wanted objects of a series by SOP Instance UID, each with its file, as long as nothing else comes.

        At the first object that is not wanted, or that its first bytes do not name, reading ends: nothing is
        fetched again that is here. No error of the archive's is raised: what is missing then is asked for one by
        one, and what is wrong with it is found there.

        Args:
            series: one of its objects.
            wanted: SOP Instance UIDs, without those that were given already.
            folder: where the files go.
            heeded: what the pieces pass through, to be stopped.

        Raises:
            cbmir.errors.DiskFull, cbmir.errors.Unavailable: if a file cannot be written.
        """
        came = False
        try:
            with closing(heeded(self._download(series))) as pieces:
                for each in _files(pieces, wanted, folder):
                    came = True
                    yield each
            self._failures = 0 if came else self._failures + 1
        except (NotFound, ArchiveGarbled, ArchiveRefused, ArchiveUnavailable):
            self._failures += 1


def _files(pieces: Pieces, wanted: Collection[str], folder: Path) -> Iterator[tuple[str, Path]]:
    while head := _head(rest := iter(partial(next, pieces, b""), b"")):
        uid = uid_at_head(head[:HEAD])
        if uid not in wanted or not is_uid(uid):
            return
        path = folder / f"{uid}.dcm"
        with written_whole(path, durable=False) as stream:
            stream.writelines(chain([head], rest))
        yield uid, path


def _head(pieces: Iterable[bytes]) -> bytes:
    """At least `HEAD` bytes of an object, if it has so many."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= HEAD:
            break
    return head
