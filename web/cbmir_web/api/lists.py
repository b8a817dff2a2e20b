"""The quarantine as a file to download, CSV or JSON, piece by piece: its length does not matter."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from itertools import chain, islice
from typing import Any, TypeVar

import orjson

from cbmir.store import quarantine
from cbmir.store.session import Database
from cbmir.store.tables import Quarantined

Item = TypeVar("Item")

COLUMNS = ("id", "file_name", "code", "meaning", "reason", "remedy", "sha256", "created_at")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute: a file's name must not be able to."""


def as_csv(database: Database, code: str | None) -> Iterator[bytes]:
    """A header, then a line a file, oldest first; with `code` those of one reason. UTF-8."""
    rows = begun(_rows(database, code))
    yield _line(COLUMNS)
    for row in rows:
        yield _line([_harmless(str(row[name])) for name in COLUMNS])


def as_json(database: Database, code: str | None) -> Iterator[bytes]:
    """A JSON array of objects, oldest first; with `code` those of one reason."""
    separator = b"[\n"
    for row in _rows(database, code):
        yield separator + orjson.dumps(row)
        separator = b",\n"
    yield b"\n]\n" if separator == b",\n" else b"[]\n"


def begun(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, the first made at once: what keeps a download from beginning is an error with a status."""
    first = list(islice(items, 1))
    return chain(first, items)


def _rows(database: Database, code: str | None) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        with database.read() as session:  # a short one each time: the reader may be slow
            found = quarantine.after(session, after, code=code)
        if not found:
            return
        yield from map(_row, found)
        after = found[-1].id


def _row(row: Quarantined) -> dict[str, Any]:
    """A file without the place where it is."""
    told = {name: getattr(row, name) for name in COLUMNS if name not in ("meaning", "created_at")}
    told |= {"meaning": quarantine.meaning(row.code), "created_at": row.created_at.isoformat()}
    return {name: told[name] for name in COLUMNS}


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _line(cells: tuple[str, ...] | list[str]) -> bytes:
    line = StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
