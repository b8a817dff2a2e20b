# SPDX-License-Identifier: AGPL-3.0-or-later
"""Telling cbmir, in the background and until it has heard, what happened to instances."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from threading import Event
from typing import Any
from urllib.parse import quote

from cbmir_link.client import Client, NoAnswer
from cbmir_link.journal import Batch, Journal

BATCH = 500
"""Events in one request."""
GATHER_SECONDS = 0.1
"""After the first event: what comes meanwhile goes along."""
TIMEOUT_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


class Reporter:
    """Notes events and sends them. Only `run` waits for cbmir.

    Args:
        journal: keeps what was not sent.
        client: reaches cbmir.
        archive: how cbmir calls this Orthanc.
        log: takes a sentence.
    """

    def __init__(self, journal: Journal, client: Client, archive: str, log: Callable[[str], Any]) -> None:
        self._journal = journal
        self._client = client
        self._archive = archive
        self._log = log
        self._news = Event()
        self._news.set()
        self._stopped = Event()
        self._trouble = ""
        self._pause = FIRST_PAUSE_SECONDS
        self._answer: dict[str, Any] | None = None
        self._error: dict[str, Any] | None = None

    def note(self, orthanc_id: str, deleted: bool) -> None:
        """Keep that an instance was stored or deleted; never waits for the network, never raises."""
        try:
            self._journal.note(orthanc_id, deleted)
        except sqlite3.Error as error:
            self._fail(f"The queue cannot be written ({error}).")
        self._news.set()

    def run(self) -> None:
        """Send what is noted, until stopped."""
        while not self._stopped.is_set():
            self._news.wait()
            self._stopped.wait(GATHER_SECONDS)
            self._news.clear()
            while not self._stopped.is_set() and self._send_next():
                pass

    def _send_next(self) -> bool:
        """False if there was nothing to send; waits before it returns where it could not be sent."""
        try:
            batch = self._journal.batch(BATCH)
            if batch:
                self._send(batch)
                self._journal.forget(batch)
                self._mend()
            return bool(batch)
        except (NoAnswer, sqlite3.Error) as error:
            self._fail(str(error))
            self._stopped.wait(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            return True

    def _send(self, batch: Batch) -> None:
        said = {"stored": batch.stored, "deleted": batch.deleted, **({"lost": True} if batch.losses else {})}
        path = f"/api/v1/archives/{quote(self._archive, safe='')}/events"
        answer = self._client.post(path, json.dumps(said).encode(), "application/json", TIMEOUT_SECONDS)
        self._answer = {"status": answer.status, "at": _now()}
        if not answer.well:
            raise NoAnswer(f"cbmir answered {answer.status}{_hint(answer.status)}; the events are kept.")

    def _fail(self, sentence: str) -> None:
        self._error = {"sentence": sentence, "at": _now()}
        if sentence != self._trouble:
            self._trouble = sentence
            self._log(f"cbmir: {sentence}")

    def _mend(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS
        if self._trouble:
            self._trouble = ""
            self._log("cbmir: It takes events again.")

    def status(self) -> dict[str, Any]:
        """What waits, and how it went last; times are UTC (ISO 8601)."""
        return {
            "archive": self._archive,
            "queued": len(self._journal),
            "sweep_needed": self._journal.lossy,
            "last_answer": self._answer,
            "last_error": self._error,
            "in_trouble": bool(self._trouble),
        }

    def stop(self) -> None:
        """Send no more; what was not sent stays in the journal."""
        self._stopped.set()
        self._news.set()


def _hint(status: int) -> str:
    hints = {
        401: " (user name or password is wrong)",
        403: " (this user may not)",
        404: " (it knows no such archive)",
        200: " without JSON (is it cbmir at all?)",
    }
    return hints.get(status, "")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
