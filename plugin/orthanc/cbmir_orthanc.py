# SPDX-License-Identifier: AGPL-3.0-or-later
"""What Orthanc's Python plugin loads: tells cbmir what came and what was deleted, and shows its answers.

Nothing here waits for cbmir while Orthanc waits for us: an event is one row in a file, sent later by a thread.
"""

from __future__ import annotations

import json
import sqlite3
from threading import Thread
from typing import Any

import orthanc
from cbmir_link.client import Client
from cbmir_link.configuration import BadConfiguration, Configuration
from cbmir_link.explorer import buttons
from cbmir_link.journal import Journal
from cbmir_link.reporter import Reporter
from cbmir_link.similar import Similar

STORED = (orthanc.ChangeType.NEW_INSTANCE, orthanc.ChangeType.UPDATED_ATTACHMENT)


def load() -> None:
    """Register everything; a wrong configuration is logged, and Orthanc goes on without us."""
    try:
        configuration = Configuration.of(json.loads(orthanc.GetConfiguration()))
        client = Client(configuration)
        journal = Journal(configuration.queue, configuration.queue_limit)
    except (BadConfiguration, OSError, sqlite3.Error) as error:
        orthanc.LogError(f"cbmir is told of nothing until this is mended and Orthanc restarted: {error}")
        return
    follow(Reporter(journal, client, configuration.archive, orthanc.LogWarning))
    serve(Similar(client, get))
    orthanc.ExtendOrthancExplorer(buttons(configuration.browser_url))


def follow(reporter: Reporter) -> None:
    """Hand on what happens to instances, from now until Orthanc stops, and show how far that is."""

    def changed(change: int, level: int, orthanc_id: str) -> None:
        if change == orthanc.ChangeType.ORTHANC_STOPPED:
            reporter.stop()
        elif level != orthanc.ResourceType.INSTANCE:
            return
        elif change in STORED:
            reporter.note(orthanc_id, deleted=False)
        elif change == orthanc.ChangeType.DELETED:
            reporter.note(orthanc_id, deleted=True)

    def status(output: Any, _uri: str, **request: Any) -> None:
        if is_get(output, request):
            answer(output, 200, reporter.status())

    orthanc.RegisterOnChangeCallback(changed)
    orthanc.RegisterRestCallback("/cbmir/status", status)
    Thread(target=reporter.run, name="cbmir", daemon=True).start()


def serve(similar: Similar) -> None:
    """Answer `/cbmir/similar/LEVEL/ID`."""

    def asked(output: Any, _uri: str, **request: Any) -> None:
        if is_get(output, request):
            level, orthanc_id = request["groups"]
            answer(output, *similar.to(level, orthanc_id, request.get("get", {}).get("k", "5")))

    orthanc.RegisterRestCallback("/cbmir/similar/([^/]*)/(.*)", asked)


def is_get(output: Any, request: dict[str, Any]) -> bool:
    """Whether it was asked by GET; else that is answered."""
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
        return False
    return True


def answer(output: Any, status: int, said: Any) -> None:
    """Answer with JSON, in ASCII: the size that is asked for is one of bytes."""
    body = json.dumps(said)
    if status == 200:
        output.AnswerBuffer(body, "application/json")
    else:
        output.SetHttpHeader("Content-Type", "application/json")
        output.SendHttpStatus(status, body, len(body))


def get(path: str) -> Any:
    """The JSON at a path of Orthanc's own REST API.

    Raises:
        LookupError: if there is nothing.
    """
    try:
        return json.loads(orthanc.RestApiGet(path))
    except orthanc.OrthancException as error:
        raise LookupError(path) from error


load()
