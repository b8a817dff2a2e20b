"""GET /export: all features of an encoder as one JSON document, streamed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

from flask import Response

from cbmir.errors import CbmirError, JobCancelled
from cbmir.progress import Silence
from cbmir.services.features.export import export_json
from cbmir_web.actions.encoder_jobs import known
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import EncoderQuerySchema, ErrorSchema
from cbmir_web.installation import installation

blueprint = Blueprint("export", __name__, description="Features for other programs.")

PIECES_AHEAD = 64
"""Pieces of the document that may wait for a slow reader: bounds the memory of one export."""

Write = Callable[[bytes], object]


class Pipe:
    """Turns a function that writes into an iterator of what it writes, without holding more than a few pieces.

    Args:
        produce: called in a thread of its own with the function to write with.
    """

    def __init__(self, produce: Callable[[Write], object]) -> None:
        self._produce = produce
        self._pieces: Queue[bytes | CbmirError | None] = Queue(PIECES_AHEAD)
        self._abandoned = Event()

    def __iter__(self) -> Generator[bytes, None, None]:
        """The pieces.

        Raises:
            cbmir.errors.CbmirError: what the producer raised; the server then cuts the connection, so that nobody
                takes half a document for a whole one.
        """
        thread = Thread(target=self._run, name="export", daemon=True)
        thread.start()
        try:
            while (piece := self._pieces.get()) is not None:
                if isinstance(piece, CbmirError):
                    raise piece
                yield piece
        finally:
            self._abandoned.set()
            thread.join()

    def _run(self) -> None:
        end: CbmirError | None = CbmirError("The export ended unexpectedly.")
        try:
            self._produce(self._put)
            end = None
        except CbmirError as error:
            end = error
        finally:
            with suppress(JobCancelled):
                self._put(end)

    def _put(self, piece: bytes | CbmirError | None) -> None:
        while not self._abandoned.is_set():
            try:
                return self._pieces.put(piece, timeout=0.5)
            except Full:
                continue
        raise JobCancelled("The reader of the export has gone.")


@blueprint.route("/export")
@blueprint.arguments(EncoderQuerySchema, location="query")
@blueprint.response(
    200, content_type="application/json", schema={"type": "object"}, description="Schema `cbmir-features/1`."
)
@blueprint.alt_response(404, schema=ErrorSchema)
@blueprint.alt_response(409, schema=ErrorSchema, description="It has no features yet.")
def export(request: dict[str, Any]) -> Response:
    """All features of an encoder with file name, label and UIDs. A reader that finds the document cut short must
    drop it: the export failed in its middle."""
    here = installation()
    encoder = known(here, request.get("encoder"))
    pipe = Pipe(lambda write: export_json(here.database, encoder, write, Silence()))
    pieces = iter(pipe)
    first = next(pieces)  # what keeps it from beginning is an error with a status of its own
    headers = {"Content-Disposition": f'attachment; filename="{encoder}.json"'}
    return Response(_all(first, pieces), mimetype="application/json", headers=headers)


def _all(first: bytes, rest: Generator[bytes, None, None]) -> Iterator[bytes]:
    with closing(rest):
        yield first
        yield from rest
