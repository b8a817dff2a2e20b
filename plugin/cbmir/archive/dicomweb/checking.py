"""What `archive test` finds out about a DICOMweb server."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

from cbmir.archive.base import Archive, Check
from cbmir.archive.connection import Connection
from cbmir.archive.dicomweb import entries
from cbmir.archive.dicomweb.client import Client
from cbmir.archive.http.checking import check, reached
from cbmir.archive.http.paging import Entry
from cbmir.errors import NotFound


def checks(connection: Connection, client: Client, archive: Archive) -> list[Check]:
    """Reachable, credentials, QIDO-RS, paging, WADO-RS; STOW-RS is not tried, since it would leave something."""
    found = reached(connection, lambda: _first(client))
    if not found[0].fine:
        return found
    return [
        *found,
        check("QIDO-RS", lambda: _query(client)),
        check("paging", lambda: _paging(client)),
        check("WADO-RS", lambda: _retrieve(client, archive)),
        Check("STOW-RS", True, "Not tried: it would leave an object in the archive."),
    ]


def _first(client: Client, offset: int = 0) -> list[Entry]:
    ask = client.asking(client.services.search_for_studies, fields=(entries.INSTANCE_COUNT,))
    return ask(1, offset)[0]


def _query(client: Client) -> str:
    found = _first(client)
    if not found:
        return "It lists no study yet."
    entries.uid(found[0], entries.STUDY_UID, client.session.who)
    told = entries.study(found[0]).instances is not None
    return f"It lists studies, and says {'how many' if told else 'not how many'} objects each has."


def _paging(client: Client) -> str:
    first, second = _first(client), _first(client, offset=1)
    if not first:
        return "Unknown: it lists no study yet."
    if len(first) > 1:
        return "It ignores the limit: a list comes as a whole."
    return "It ignores the offset." if first == second else "It pages by limit and offset."


def _retrieve(client: Client, archive: Archive) -> str:
    studies = [entries.study(entry) for entry in _first(client)]
    instances = [each for study in studies[:1] for each in islice(archive.instances(study.study_instance_uid), 1)]
    if not instances:
        return "Unknown: it has no object yet."
    with tempfile.TemporaryDirectory(prefix="cbmir-test-") as folder:
        (fetched,) = archive.fetch(instances, Path(folder))
        if fetched.file is None:
            raise fetched.error or NotFound("The object did not come.")
        return f"It gives an object of {fetched.file.stat().st_size} bytes."
