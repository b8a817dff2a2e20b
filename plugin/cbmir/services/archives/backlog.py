"""What `cbmir archive serve` received and is not recorded yet: how much, since when, and whether anybody does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.tables import now
from cbmir.types import JobKind, JobState

SUFFIX = ".dcm"
TAKEN = "taken"
"""Folder below the receiver's of the files that are worked on."""

JOB: dict[str, Any] = {"received": True}
"""The parameters of the job that records what was received."""

PATIENCE = timedelta(minutes=1)
"""Workers begin within a second: what waits for so long, and nobody works on, waits for workers that do not run."""


@dataclass(frozen=True)
class Backlog:
    """Objects that were received and wait.

    Attributes:
        objects: how many.
        since: when the one that waits longest was received; None if none waits.
        at_work: whether a worker lives that records them, now or when its turn at an archive is over.
    """

    objects: int
    since: datetime | None
    at_work: bool

    @property
    def reason(self) -> str:
        """What is wrong; empty if all is well."""
        if self.since is None or self.at_work or self.waited < PATIENCE:
            return ""
        return f"{self.said}, and no worker records them."

    @property
    def remedy(self) -> str:
        """What to do; empty if all is well."""
        return "Start `cbmir up`, or `cbmir worker --role archive`." if self.reason else ""

    @property
    def said(self) -> str:
        """How many wait, and since when."""
        since = f", the first since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        return f"{self.objects:,} received objects wait to be recorded{since}"

    @property
    def waited(self) -> timedelta:
        """How long the one that waits longest has waited; no time if none does."""
        return max(now() - self.since, timedelta()) if self.since else timedelta()


def backlog(session: Session, settings: Settings) -> Backlog:
    """What waits in the receiver's folder of this host."""
    objects, since = 0, None
    for moment in filter(None, map(_received_at, _all_waiting(settings))):
        objects, since = objects + 1, min(since or moment, moment)
    return Backlog(objects, since, _is_at_work(session, settings))


def any_waiting(settings: Settings) -> bool:
    """Whether the receiver's folder holds any object."""
    return next(_all_waiting(settings), None) is not None


def waiting(folder: Path) -> Iterator[Path]:
    """Whole objects in a folder; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    yield Path(entry.path).absolute()
    except FileNotFoundError:
        return


def _all_waiting(settings: Settings) -> Iterator[Path]:
    yield from waiting(settings.received)
    yield from waiting(settings.received / TAKEN)


def _received_at(file: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except FileNotFoundError:  # it has just been recorded
        return None


def _is_at_work(session: Session, settings: Settings) -> bool:
    running = [job for job in jobs.unfinished(session) if job.state == JobState.RUNNING]
    alive = now() - timedelta(seconds=settings.heartbeat_timeout_seconds)
    return any(job.kind == JobKind.SYNC and job.heartbeat_at and job.heartbeat_at > alive for job in running)
