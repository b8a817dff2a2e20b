"""dicomweb-client on a session of ours: its lists with what the server said beside them, and its addresses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from dicomweb_client.uri import URI

from cbmir.archive.base import RemoteInstance
from cbmir.archive.http.answers import ADDRESS, translated
from cbmir.archive.http.paging import Ask, Entry
from cbmir.archive.http.session import ArchiveSession
from cbmir.errors import ArchiveGarbled

# It repeats what the server says, in a warning or of an object; what matters of that is an error of ours.
logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL)


class Client:
    """The DICOMweb services of one archive.

    Args:
        session: through which it is asked.
    """

    def __init__(self, session: ArchiveSession) -> None:
        self.session = session
        self.services = DICOMwebClient(session.base, session, callback=self._note, permissive_uid=True)
        self.services.set_http_retry_params(retry=False)  # the session repeats what is safe to repeat
        self._cut = False

    def asking(self, search: Callable[..., Any], **how: Any) -> Ask:
        """A search of dicomweb-client, page by page.

        Args:
            search: such as `services.search_for_studies`.
            how: its arguments but for limit and offset.
        """

        def ask(limit: int, offset: int) -> tuple[list[Entry], bool]:
            with translated(self.session.who):
                found = search(limit=limit, offset=offset, **how)
            if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
                raise ArchiveGarbled(f"{self.session.who} answers with what is no list.", ADDRESS)
            return found, self._cut

        return ask

    def url(self, instance: RemoteInstance) -> str:
        """Where an object is retrieved (PS3.18 10.4.1.1.1).

        Raises:
            cbmir.errors.ArchiveGarbled: if its UIDs cannot stand in a URL.
        """
        return self._url(instance, instance.sop_instance_uid)

    def series_url(self, instance: RemoteInstance) -> str:
        """Where all objects of its series are retrieved.

        Raises:
            as `url`.
        """
        return self._url(instance, None)

    def _url(self, series: RemoteInstance, uid: str | None) -> str:
        try:
            return str(URI(self.session.base, series.study_instance_uid, series.series_instance_uid, uid))
        except ValueError as error:
            raise ArchiveGarbled(f"{self.session.who} lists an object whose UIDs are none.") from error

    def _note(self, response: requests.Response, **_: Any) -> None:
        """Whether the answer says that it is not whole: 206, or a warning 299 (PS3.18 8.3.4.4.1)."""
        self._cut = response.status_code == 206 or response.headers.get("Warning", "").lstrip().startswith("299")
