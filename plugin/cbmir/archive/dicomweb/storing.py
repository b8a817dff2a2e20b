"""STOW-RS: objects sent as they are, and every one of them accounted for (PS3.18 10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from cbmir.archive.dicomweb.entries import text
from cbmir.archive.http.answers import ADDRESS, translated
from cbmir.archive.http.session import ArchiveSession
from cbmir.archive.identity import sop_instance_uid
from cbmir.errors import ArchiveGarbled, ArchiveRefused, NotFound

BATCH = 20
"""Objects in one request: beyond that Orthanc was measured to gain nothing."""

BATCH_BYTES = 64 * 1024**2
"""Bytes in one request, unless a single object is larger."""

PIECE = 1 << 20

FAILED, REFERENCED = "00081198", "00081199"
"""Failed SOP Sequence and Referenced SOP Sequence (PS3.18 I.2, Table I.2-1)."""

SOP_UID, REASON = "00081155", "00081197"


def store(session: ArchiveSession, files: Sequence[Path]) -> None:
    """Send files, some at a time; each must be among those that the archive says it has stored.

    Raises:
        cbmir.errors.ArchiveRefused: if one of them is not.
        cbmir.errors.ArchiveUnavailable: if the archive does not answer.
        cbmir.errors.BrokenFile: if one is no DICOM file.
    """
    for batch in batches(files):
        _send(session, batch)


def batches(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The files in order, as many at a time as one request may hold."""
    batch, size = list[Path](), 0
    for file in files:
        length = file.stat().st_size
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += length
    if batch:
        yield batch


def _send(session: ArchiveSession, files: Sequence[Path]) -> None:
    sent = {sop_instance_uid(file, file.name) for file in files}
    body = Parts(tuple(files))
    headers = {"Content-Type": body.content_type, "Accept": "application/dicom+json"}
    try:
        answer = session.post(f"{session.base}/studies", data=body, headers=headers)
    except NotFound as error:
        raise ArchiveRefused(f"{session.who} takes no objects there (STOW-RS).", ADDRESS) from error
    with translated(session.who):
        told = answer.json()
    if not isinstance(told, dict):
        raise ArchiveGarbled(f"{session.who} does not say what it has stored.", ADDRESS)
    _account(session.who, sent, told)


def _account(who: str, sent: set[str], told: dict[str, Any]) -> None:
    """Orthanc answers 200 even when it has lost objects: what counts is what it names."""
    failed = {text(item, SOP_UID): text(item, REASON) for item in _items(told, FAILED)}
    missing = sorted(sent - {text(item, SOP_UID) for item in _items(told, REFERENCED)})
    if missing or failed:
        named = next(iter([*missing, *failed]))
        reason = failed.get(named) or failed.get("")  # not everybody names what failed
        why = f"failure reason {reason}" if reason else "it gives no reason"
        count = f"{max(len(missing), len(failed))} of {len(sent)} objects"
        raise ArchiveRefused(f"{who} did not store {count}, such as {named}: {why}.", "See the archive's own log.")


def _items(told: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    element = told.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class Parts:
    """Files as one multipart message (RFC 2387), read while it is sent, and of a length known before."""

    files: tuple[Path, ...]
    boundary: str = field(default_factory=lambda: uuid4().hex)

    @property
    def content_type(self) -> str:
        return f'multipart/related; type="application/dicom"; boundary={self.boundary}'

    def __len__(self) -> int:
        """Bytes of the message."""
        around = len(self._before) * len(self.files) + len(self._end)
        return around + sum(file.stat().st_size for file in self.files)

    def __iter__(self) -> Iterator[bytes]:
        for path in self.files:
            yield self._before
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        yield self._end

    @property
    def _before(self) -> bytes:
        return f"\r\n--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()

    @property
    def _end(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
