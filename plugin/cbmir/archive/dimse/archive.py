"""An archive that speaks DIMSE: C-ECHO, C-FIND, C-GET or C-MOVE, C-STORE (PS3.4, PS3.7)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cbmir.archive.base import Check, Fetched, RemoteInstance, RemoteStudy
from cbmir.archive.connection import Connection, Retrieval
from cbmir.archive.dimse import getting, moving, query, retrieval, sending
from cbmir.archive.dimse.checks import checks
from cbmir.archive.dimse.landing import is_uid
from cbmir.archive.dimse.peer import Peer
from cbmir.archive.dimse.spans import Span
from cbmir.errors import ArchiveGarbled


class DimseArchive:
    """An archive at `AE@HOST:PORT`; see `cbmir.archive.base.Archive`.

    Raises:
        cbmir.errors.BadRequest: if the address, an AE title or a file for TLS is of no use.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._peer = Peer(connection)

    def test(self) -> list[Check]:
        """Whether it is reached, answers an echo, and which services it accepts from us."""
        return checks(self._peer)

    def studies(self, since: str = "", until: str = "") -> Iterator[RemoteStudy]:
        """All studies of these dates; in pieces, where the archive cuts off its answers."""
        return query.studies(self._peer, Span.of(since, until))

    def instances(self, study_instance_uid: str) -> Iterator[RemoteInstance]:
        """All objects of a study, series by series."""
        return query.instances(self._peer, study_instance_uid)

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        """Bring objects, by series, over several associations at one time."""
        folder.mkdir(parents=True, exist_ok=True)
        named: list[RemoteInstance] = []
        for each in dict.fromkeys(instances):
            if is_uid(each.sop_instance_uid):
                named.append(each)
            else:
                yield self._nameless(each)
        if self._connection.retrieve is Retrieval.MOVE:
            yield from self._moved(named, folder)
            return
        known = retrieval.with_classes(self._peer, named)
        work = retrieval.batches(known, getting.CLASSES)
        yield from retrieval.fetched(self._peer, work, folder, retrieval.bound(getting.get, self._peer))

    def _nameless(self, instance: RemoteInstance) -> Fetched:
        reason = f"{self._peer.name} lists an object whose SOP Instance UID is none."
        return Fetched(instance, error=ArchiveGarbled(reason, "Have it corrected there."))

    def _moved(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        refusals: list[int] = []
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".") as landed,
            moving.receiving(self._connection, instances, Path(landed), refusals.append),
        ):
            work = retrieval.batches(instances, retrieval.AT_ONCE)
            bring = retrieval.bound(moving.move, self._peer, Path(landed), refusals)
            yield from retrieval.fetched(self._peer, work, folder, bring)

    def store(self, files: Sequence[Path]) -> None:
        """Send objects, each in its own transfer syntax."""
        sending.store(self._peer, files)

    def close(self) -> None:
        """Nothing is held: each question has its own association."""
