"""WADO-RS: an object's bytes out of a multipart answer, as they come (PS3.18 10.4, RFC 2387)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

import requests
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from cbmir.archive.base import RemoteInstance
from cbmir.archive.dicomweb.client import Client
from cbmir.archive.http.answers import ADDRESS, OVERLOADED, AnswerLost, pieces
from cbmir.errors import ArchiveGarbled

# It quotes bytes of the message, which may be a patient's name; its error is enough.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Asks for the object in the transfer syntax in which it is kept (PS3.18 8.7.3.5.2)."""

SILENCE = 64 * 1024
"""Bytes that may come without one of an object among them, such as the headers of a part."""


def download(client: Client, instance: RemoteInstance) -> Generator[bytes, None, None]:
    """An object's file (PS3.10) as it is stored, in pieces; memory does not grow with its size.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled,
        cbmir.errors.NotFound: also in the middle, where the answer breaks off.
    """
    who = client.session.who
    answer, body, boundary = _asked(client, client.url(instance))
    if boundary:
        yield from the_part(body, boundary, who)
    elif _kind(answer) == b"application/dicom" and _says_its_end(answer):
        yield from body
    else:
        raise _no_object(answer, who)


def download_series(client: Client, instance: RemoteInstance) -> Generator[bytes, None, None]:
    """The files of all objects of its series, one after the other, in pieces; an empty piece ends each.

    Raises:
        as `download`.
    """
    who = client.session.who
    answer, body, boundary = _asked(client, client.series_url(instance))
    if not boundary:
        raise _no_object(answer, who)
    yield from the_parts(body, boundary, who)


def _asked(client: Client, url: str) -> tuple[requests.Response, Iterator[bytes], bytes]:
    """The answer, its body as it comes, and the boundary of its parts; empty where it has none."""
    session = client.session
    answer = session.get(url, headers={"Accept": AS_STORED}, stream=True)
    kind, options = parse_options_header(answer.headers.get("Content-Type"))
    boundary = options.get(b"boundary", b"") if kind == b"multipart/related" else b""
    return answer, pieces(answer, session.who, session.seconds), boundary


def _kind(answer: requests.Response) -> bytes:
    return parse_options_header(answer.headers.get("Content-Type"))[0]


def _no_object(answer: requests.Response, who: str) -> ArchiveGarbled:
    answer.close()
    named = _kind(answer).decode("latin-1")[:80] or "something unnamed"
    return ArchiveGarbled(f"{who} sends {named} in place of an object.", ADDRESS)


def _says_its_end(answer: requests.Response) -> bool:
    """Whether an answer that breaks off can be told from one that is whole."""
    return "Content-Length" in answer.headers or "chunked" in answer.headers.get("Transfer-Encoding", "")


def the_part(body: Iterable[bytes], boundary: bytes, who: str) -> Iterator[bytes]:
    """The content of the only part of a multipart message.

    Args:
        body: the message, in pieces.
        boundary: as its Content-Type says.
        who: begins an error's sentence.

    Raises:
        cbmir.errors.ArchiveUnavailable: if the message ends before its last boundary, or a part before the length
            that it says.
        cbmir.errors.ArchiveGarbled: if it is no multipart message, or has another number of parts.
    """
    ended = False
    for piece in the_parts(body, boundary, who):
        if ended:
            raise ArchiveGarbled(f"{who} sends several objects in place of one.", ADDRESS)
        ended = not piece
        if piece:
            yield piece
    if not ended:
        raise ArchiveGarbled(f"{who} sends no object.", ADDRESS)


def the_parts(body: Iterable[bytes], boundary: bytes, who: str) -> Iterator[bytes]:
    """The content of a multipart message's parts, in pieces; an empty one ends each. What follows the last part
    says nothing (RFC 2046 5.1.1), and is not read to its end.

    Raises:
        as `the_part`, but for the number of parts.
    """
    parts = _Parts(boundary, who)
    for piece in body:
        if parts.ended or parts.cut:
            break
        yield from parts.content(piece)
    if parts.cut or not parts.ended:
        raise AnswerLost(f"{who} broke off in the middle of an object.", OVERLOADED)


class _Parts:
    """What python-multipart finds, piece by piece, up to a part that is `cut`: shorter than it says."""

    def __init__(self, boundary: bytes, who: str) -> None:
        self._who, self._found = who, list[bytes]()
        self._name, self._value = b"", b""
        self._missing, self._silent = 0, 0
        self.ended = self.cut = False
        callbacks = {
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        with self._understood():
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]

    def content(self, piece: bytes) -> list[bytes]:
        self._found = []
        with self._understood():
            self._parser.write(piece)
        self._silent = 0 if self._found else self._silent + len(piece)
        if self._silent > SILENCE:
            raise ArchiveGarbled(f"{self._who} sends a message without an object.", ADDRESS)
        return self._found

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-length" and self._value.isdigit():
            self._missing = int(self._value)
        self._name, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._missing -= end - start
        if end > start and not self.cut:
            self._found.append(data[start:end])

    def _part_end(self) -> None:
        self.cut = self.cut or self._missing > 0
        self._missing = 0
        if not self.cut:
            self._found.append(b"")

    def _end(self) -> None:
        self.ended = True

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except FormParserError as error:
            raise ArchiveGarbled(f"{self._who} sends what is no multipart message.", ADDRESS) from error
