"""An archive that is Orthanc, asked by its REST API; its DICOMweb plugin need not be there."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cbmir.archive.base import Changes, Check, Fetched, RemoteInstance, RemoteStudy
from cbmir.archive.connection import Connection
from cbmir.archive.http import objects
from cbmir.archive.http.answers import pieces
from cbmir.archive.http.checking import check, reached
from cbmir.archive.http.paging import listed
from cbmir.archive.http.session import ArchiveSession
from cbmir.archive.orthanc import resources
from cbmir.archive.orthanc.rest import Resource, Rest
from cbmir.errors import ArchiveRefused, BadRequest, NotFound

LOG_PAGE = 1000
"""Entries of the log read at once."""

BATCH = 200
"""Resources described at once."""

STORED = ("Success", "AlreadyStored")
"""What Orthanc says of an object that it has now."""

OLDEST = (1, 9, 4)
"""The first Orthanc that describes resources in bulk."""


class OrthancArchive:
    """Implements `cbmir.archive.base.Archive` and `Logged`.

    Args:
        connection: its address is Orthanc's root, where `/system` lies.

    Raises:
        cbmir.errors.BadRequest: if the address is no URL, or a file that the connection names is of no use.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session = ArchiveSession(connection, repeatable=("GET", "POST"))
        self._who = self._session.who
        self._rest = Rest(self._session)

    def test(self) -> list[Check]:
        found = reached(self._connection, self._rest.system)
        if not found[0].fine:
            return found
        return [
            *found,
            check("version", self._version),
            check("count", lambda: f"It has {self.count()} objects."),
            check("log", lambda: f"Its log ends at {self.changes('').cursor}."),
            Check("store", True, "Not tried: it would leave an object in the archive."),
        ]

    def studies(self, since: str = "", until: str = "") -> Iterator[RemoteStudy]:
        """As the Protocol says; of two patients' studies with one UID the first alone is told."""
        dates = f"{since}-{until}" if since or until else ""
        found = listed(lambda limit, offset: (self._rest.find_studies(dates, offset, limit), False), _id, self._who)
        told: set[str] = set()
        while batch := list(islice(found, BATCH)):
            series = self._rest.below([_id(each) for each in batch], "Series")
            for study in resources.studies(batch, series):
                if study.study_instance_uid not in told:
                    told.add(study.study_instance_uid)
                    yield study

    def instances(self, study_instance_uid: str) -> Iterator[RemoteInstance]:
        ids = self._rest.ids(study_instance_uid, "Study")
        series = self._rest.below(ids, "Series")
        uids = dict.fromkeys(ids, study_instance_uid)
        below = (str(each) for one in series for each in resources.entries(one, "Instances"))
        for batch in _batched(below):
            yield from resources.instances(self._rest.below(batch, "Instance", metadata=True), series, uids)

    def described(self, remote_ids: Sequence[str]) -> Iterator[RemoteInstance]:
        for batch in _batched(iter(remote_ids)):
            found = self._rest.below(batch, "Instance", metadata=True)
            studies = list(self._rest.below(batch, "Study"))
            uids = {_id(each): resources.uid(each, "StudyInstanceUID") for each in studies}
            dates = {uids[_id(each)]: resources.study_date(each) for each in studies}
            for each in resources.instances(found, self._rest.below(batch, "Series"), uids):
                yield replace(each, study_date=dates[each.study_instance_uid])

    def changes(self, cursor: str) -> Changes:
        if not cursor:
            return Changes((), str(self._last()), True)
        since = _number(cursor)
        answer = self._rest.changes(since, LOG_PAGE)
        logged = [each for each in resources.entries(answer, "Changes") if isinstance(each, dict)]
        if not logged and self._last() < since:  # another Orthanc, or a new database: its log begins anew
            return Changes((), "0", False)
        new = (_id(each) for each in logged if each.get("ChangeType") == "NewInstance")
        last = resources.number(answer, "Last") if logged else since
        return Changes(tuple(dict.fromkeys(new)), str(last), answer.get("Done") is not False)

    def count(self) -> int:
        return resources.number(self._rest.statistics(), "CountInstances")

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        yield from objects.fetch(self._download, instances, folder, self._connection.parallel)

    def store(self, files: Sequence[Path]) -> None:
        for file in files:
            status = self._sent(file)
            if status not in STORED:
                raise ArchiveRefused(
                    f"{self._who} does not store {file.name} ({status}).", "See Orthanc's own log."
                )

    def close(self) -> None:
        self._session.close()

    def _sent(self, file: Path) -> str:
        try:
            return self._rest.store(file)
        except NotFound:  # so Orthanc says of a DICOMDIR
            return "not found"

    def _download(self, instance: RemoteInstance) -> Generator[bytes, None, None]:
        uid = instance.sop_instance_uid
        ids = [instance.remote_id] if instance.remote_id else self._rest.ids(uid, "Instance")
        if not ids:
            raise NotFound(f"{self._who} no longer has {uid}.")
        yield from pieces(self._rest.file(ids[0]), self._who, self._session.seconds)

    def _version(self) -> str:
        version = str(self._rest.system().get("Version"))
        if tuple(map(int, re.findall(r"\d+", version))) < OLDEST and version != "mainline":
            raise ArchiveRefused(f"{self._who} is Orthanc {version}.", "Upgrade it to 1.9.4 or newer.")
        return f"It is Orthanc {version}."

    def _last(self) -> int:
        return resources.number(self._rest.last_change(), "Last")


def _id(resource: Resource) -> str:
    return str(resource.get("ID"))


def _number(cursor: str) -> int:
    if not cursor.isdecimal():
        raise BadRequest(f"{cursor!r} is no place in Orthanc's log.", "Begin at its end, with an empty cursor.")
    return int(cursor)


def _batched(ids: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(ids, BATCH)):
        yield batch
