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
from cbmir.archive.http.answers import ADDRESS, LATER, AnswerLost, pieces
from cbmir.errors import ArchiveGarbled

# It quotes bytes of the message, which may be a patient's name; its error is enough.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Asks for the object in the transfer syntax in which it is kept (PS3.18 8.7.3.5.2)."""


def download(client: Client, instance: RemoteInstance) -> Generator[bytes, None, None]:
    """An object's file (PS3.10) as it is stored, in pieces; memory does not grow with its size.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled,
        cbmir.errors.NotFound: also in the middle, where the answer breaks off.
    """
    session = client.session
    answer = session.get(client.url(instance), headers={"Accept": AS_STORED}, stream=True)
    body = pieces(answer, session.who, session.seconds)
    kind, options = parse_options_header(answer.headers.get("Content-Type"))
    if kind == b"multipart/related" and options.get(b"boundary"):
        yield from the_part(body, options[b"boundary"], session.who)
    elif kind == b"application/dicom" and _says_its_end(answer):
        yield from body
    else:
        answer.close()
        named = kind.decode("latin-1")[:80] or "something unnamed"
        raise ArchiveGarbled(f"{session.who} sends {named} in place of an object.", ADDRESS)


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
        cbmir.errors.ArchiveUnavailable: if the message ends before its last boundary.
        cbmir.errors.ArchiveGarbled: if it is no multipart message, or has another number of parts.
    """
    part = _Part(boundary, who)
    for piece in body:
        yield from part.content(piece)
    if not part.ended:
        raise AnswerLost(f"{who} broke off in the middle of an object.", LATER)
    if part.count != 1:
        raise ArchiveGarbled(f"{who} sends {part.count} objects in place of one.", ADDRESS)


class _Part:
    """What python-multipart finds, piece by piece."""

    def __init__(self, boundary: bytes, who: str) -> None:
        self._who, self._found = who, list[bytes]()
        self.count, self.ended = 0, False
        callbacks = {"on_part_begin": self._begin, "on_part_data": self._data, "on_end": self._end}
        with self._understood():
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]

    def content(self, piece: bytes) -> list[bytes]:
        self._found = []
        with self._understood():
            self._parser.write(piece)
        return self._found if self.count <= 1 else []

    def _begin(self) -> None:
        self.count += 1

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])

    def _end(self) -> None:
        self.ended = True

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except FormParserError as error:
            raise ArchiveGarbled(f"{self._who} sends what is no multipart message.", ADDRESS) from error
