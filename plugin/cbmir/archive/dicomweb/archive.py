"""An archive that is asked by DICOMweb."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cbmir.archive.base import Check, Fetched, RemoteInstance, RemoteStudy
from cbmir.archive.connection import Connection
from cbmir.archive.dicomweb import checking, entries, retrieving, storing
from cbmir.archive.dicomweb.client import Client
from cbmir.archive.http import objects
from cbmir.archive.http.answers import translated
from cbmir.archive.http.paging import Ask, Entry, listed
from cbmir.archive.http.session import ArchiveSession
from cbmir.archive.http.together import Together
from cbmir.errors import NotFound

STUDY_FIELDS = (
    entries.PATIENT_ID,
    entries.ISSUER,
    entries.MODALITIES,
    entries.SERIES_COUNT,
    entries.INSTANCE_COUNT,
)
INSTANCE_FIELDS = (entries.SOP_CLASS, entries.MODALITY, entries.BODY_PART, entries.SERIES_UID)
SERIES_FIELDS = (entries.MODALITY, entries.BODY_PART)


class DicomWebArchive:
    """Implements `cbmir.archive.base.Archive` by QIDO-RS, WADO-RS and STOW-RS (PS3.18).

    Args:
        connection: its address is the root below which `/studies` lies.

    Raises:
        cbmir.errors.BadRequest: if the address is no URL, or a file that the connection names is of no use.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session = ArchiveSession(connection)
        self._client = Client(self._session)
        self._together = Together(partial(retrieving.download_series, self._client))

    def test(self) -> list[Check]:
        return checking.checks(self._connection, self._client, self)

    def studies(self, since: str = "", until: str = "") -> Iterator[RemoteStudy]:
        dates = {entries.STUDY_DATE: f"{since}-{until}"} if since or until else {}
        search = self._client.services.search_for_studies
        ask = self._client.asking(search, fields=STUDY_FIELDS, search_filters=dates)
        yield from map(entries.study, self._whole(ask, entries.STUDY_UID))

    def instances(self, study_instance_uid: str) -> Iterator[RemoteInstance]:
        series: dict[str, Entry] | None = None
        for entry in self._instance_entries(study_instance_uid):
            if series is None and not entries.text(entry, entries.MODALITY):
                series = self._series(study_instance_uid)
            yield entries.instance(entry, study_instance_uid, series or {})

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        download, parallel = partial(retrieving.download, self._client), self._connection.parallel
        # who allows so many requests a second counts objects, not series
        together = None if self._connection.requests_per_second else self._together
        yield from objects.fetch(download, instances, folder, parallel, together)

    def frame(self, instance: RemoteInstance, number: int) -> bytes:
        """A frame's pixels, uncompressed and little endian (PS3.18 10.4.1.1.6); `number` counts from 1.

        Raises:
            as `fetch`, and cbmir.errors.NotFound: if there is no such frame.
        """
        types = ("application/octet-stream",)
        with translated(self._session.who):
            found = self._client.services.retrieve_instance_frames(*_uids(instance), [number], types)
        if not found:
            raise NotFound(f"{self._session.who} has no frame {number} of {instance.sop_instance_uid}.")
        return bytes(found[0])

    def rendered(self, instance: RemoteInstance, number: int = 0, media_type: str = "image/png") -> bytes:
        """A picture as the archive renders it (PS3.18 10.4.1.1.3): of a frame, from 1, or of the object.

        Raises:
            as `frame`.
        """
        services, types = self._client.services, (media_type,)
        with translated(self._session.who):
            if number:
                return bytes(services.retrieve_instance_frames_rendered(*_uids(instance), [number], types))
            return bytes(services.retrieve_instance_rendered(*_uids(instance), types))

    def store(self, files: Sequence[Path]) -> None:
        storing.store(self._session, files)

    def close(self) -> None:
        self._session.close()

    def _instance_entries(self, study_instance_uid: str) -> Iterator[Entry]:
        search = self._client.services.search_for_instances
        try:
            yield from self._listed(search, entries.SOP_UID, INSTANCE_FIELDS, study_instance_uid)
        except NotFound:  # the study is not known, or the server lists objects by series alone
            for series in self._series(study_instance_uid):
                yield from self._listed(search, entries.SOP_UID, INSTANCE_FIELDS, study_instance_uid, series)

    def _series(self, study_instance_uid: str) -> dict[str, Entry]:
        search = self._client.services.search_for_series
        try:
            found = self._listed(search, entries.SERIES_UID, SERIES_FIELDS, study_instance_uid)
            return {entries.text(entry, entries.SERIES_UID): entry for entry in found}
        except NotFound:
            return {}

    def _listed(
        self, search: Any, tag: str, fields: Sequence[str], study_instance_uid: str, series_uid: str = ""
    ) -> Iterator[Entry]:
        within = {"series_instance_uid": series_uid} if series_uid else {}
        ask = self._client.asking(search, fields=fields, study_instance_uid=study_instance_uid, **within)
        return self._whole(ask, tag)

    def _whole(self, ask: Ask, tag: str) -> Iterator[Entry]:
        who = self._session.who
        return listed(ask, lambda entry: entries.uid(entry, tag, who), who)


def _uids(instance: RemoteInstance) -> tuple[str, str, str]:
    return instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
