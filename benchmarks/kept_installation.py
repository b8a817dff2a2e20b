"""An installation of many drawn features with its index: it takes minutes to make, so a run may keep it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from query import filled

from cbmir.services.retrieval.indexes import index_files, report
from cbmir.settings import Settings
from cbmir.store.session import Database

SIDE = 128
"""Of the encoder's input."""


@contextmanager
def folder(kept: Path | None) -> Iterator[Path]:
    """The folder to make it in: the one to keep, or one that goes."""
    if kept:
        yield kept
        return
    with tempfile.TemporaryDirectory() as found:
        yield Path(found)


def made_ready(settings: Settings, count: int) -> None:
    """Fill the database and make the index, unless there is one of so many images."""
    if next(settings.indexes.glob("*.index"), None) is None:
        index_files.rebuild(filled(settings, count, SIDE), settings)
    told = report.status(Database(settings.resolved_database_url), settings)[0]
    if (told["features"], told["state"]) != (count, "current"):
        raise SystemExit(f"{settings.data} holds another index: name another folder.")
