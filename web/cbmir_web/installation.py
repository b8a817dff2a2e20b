"""What every request may reach: the settings, the database, the broker and the pictures of one installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from celery import Celery
from flask import current_app

from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_workers import client


@dataclass(frozen=True)
class Installation:
    """Made once by the app factory; safe to share between the server's threads."""

    settings: Settings
    database: Database
    broker: Celery
    shelf: Shelf

    def enqueue(self, kind: JobKind, parameters: dict[str, Any]) -> Job:
        """Commit a job and tell the workers; a broker that is down delays the job, but does not lose it."""
        return client.enqueue(self.database, self.broker, kind, parameters)


def make(settings: Settings) -> Installation:
    """Open the parts of an installation; nothing is connected before it is used."""
    return Installation(
        settings=settings,
        database=Database(settings.resolved_database_url),
        broker=client.make_app(settings),
        shelf=Shelf(settings.pictures),
    )


def installation() -> Installation:
    """The installation that the current request belongs to."""
    return cast(Installation, current_app.extensions["cbmir"])
