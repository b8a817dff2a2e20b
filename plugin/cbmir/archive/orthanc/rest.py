"""Orthanc's REST API, call by call: JSON in and out, and what is no such JSON refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import requests

from cbmir.archive.http.answers import ADDRESS, translated
from cbmir.archive.http.session import ArchiveSession
from cbmir.errors import ArchiveGarbled

Resource = dict[str, Any]
"""A study, series or instance, expanded: its `ID`, `MainDicomTags`, and the ids of parent and children."""


class Rest:
    """The calls that are used of it.

    Args:
        session: to Orthanc; POST may be repeated, since all that is posted here changes nothing twice.
    """

    def __init__(self, session: ArchiveSession) -> None:
        self.session = session

    def system(self) -> Resource:
        return self._object(self.session.get(f"{self.session.base}/system"))

    def statistics(self) -> Resource:
        return self._object(self.session.get(f"{self.session.base}/statistics"))

    def changes(self, since: int, limit: int) -> Resource:
        """Its log after `since`: `Changes`, `Last`, `Done`."""
        query = {"since": str(since), "limit": str(limit)}
        return self._object(self.session.get(f"{self.session.base}/changes", params=query))

    def last_change(self) -> Resource:
        return self._object(self.session.get(f"{self.session.base}/changes", params={"last": ""}))

    def find_studies(self, dates: str, since: int, limit: int) -> list[Resource]:
        """Studies, expanded, of these dates (PS3.4 C.2.2.2.5); empty for any."""
        query = {"StudyDate": dates} if dates else {}
        asked = {"Level": "Study", "Query": query, "Expand": True, "Since": since, "Limit": limit}
        return self._list(self._post("/tools/find", asked))

    def ids(self, uid: str, level: str) -> list[str]:
        """Orthanc's ids of what has this UID: several, if it was given to two patients' studies."""
        answer = self.session.post(f"{self.session.base}/tools/lookup", data=uid.encode())
        return [str(each.get("ID")) for each in self._list(answer) if each.get("Type") == level]

    def below(self, ids: Sequence[str], level: str, metadata: bool = False) -> list[Resource]:
        """The resources of a level below, at or above others, expanded; those that are gone are left out."""
        asked = {"Resources": list(ids), "Level": level, "Metadata": metadata}
        return self._list(self._post("/tools/bulk-content", asked)) if ids else []

    def file(self, instance_id: str) -> requests.Response:
        """An object's file as it is stored; to be read as a stream."""
        return self.session.get(f"{self.session.base}/instances/{instance_id}/file", stream=True)

    def store(self, file: Path) -> str:
        """Send an object as it is; what Orthanc says became of it, such as Success or AlreadyStored."""
        with file.open("rb") as stream:
            answer = self.session.post(f"{self.session.base}/instances", data=stream)
        return str(self._object(answer).get("Status"))

    def _post(self, path: str, asked: dict[str, Any]) -> requests.Response:
        return self.session.post(f"{self.session.base}{path}", json=asked)

    def _object(self, answer: requests.Response) -> Resource:
        return cast(Resource, self._json(answer, dict))

    def _list(self, answer: requests.Response) -> list[Resource]:
        found = self._json(answer, list)
        if not all(isinstance(each, dict) for each in found):
            raise ArchiveGarbled(f"{self.session.who} answers with what is no list of resources.", ADDRESS)
        return cast(list[Resource], found)

    def _json(self, answer: requests.Response, kind: type) -> Any:
        with translated(self.session.who):
            found = answer.json()
        if not isinstance(found, kind):
            raise ArchiveGarbled(f"{self.session.who} does not answer as Orthanc does.", ADDRESS)
        return found
