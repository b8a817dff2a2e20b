"""Features as a JSON document, and back: file name, feature and label as in the paper, and what identifies them.

Both directions work on a stream, in memory that does not grow with the number of features.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, BinaryIO

import orjson
from sqlalchemy.orm import Session

from cbmir.ahead import made_ahead
from cbmir.archive.folder import sha256_of
from cbmir.errors import EncoderMismatch
from cbmir.progress import Progress
from cbmir.settings import Settings
from cbmir.store import activations, document_text, encoders, exported, features, imported
from cbmir.store.document import SCHEMA
from cbmir.store.document_stream import Document, Ledger
from cbmir.store.session import Database
from cbmir.store.tables import Encoder
from cbmir.unwatched import unwatched

ROWS_AT_ONCE = 2_000


@unwatched()
def export_json(
    database: Database, encoder_id: str | None, write: Callable[[bytes], object], progress: Progress
) -> dict[str, Any]:
    """Write all features of an encoder as a `cbmir-features/1` document.

    Each number has as many digits as read back to the same float32 for every reader. Nothing identifies a patient
    but the pseudonym of the group; where a file came from is left out.

    Args:
        database: read as it is at the beginning.
        encoder_id: None for the encoder in use.
        write: takes UTF-8 bytes, piece by piece.
        progress: counts features.

    Returns:
        `{"encoder": id, "features": how many}`.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder; nothing is written then.
        cbmir.errors.JobCancelled: if progress says so.
    """
    with database.read() as session:
        exported.freeze(session)
        encoder = encoders.usable(session, encoder_id)
        total, done = features.count(session, encoder.id), 0
        head = to_json(SCHEMA), to_json(exported.encoder_object(encoder))
        write(b'{"schema": %b,\n"encoder": %b,\n"features": [' % head)
        with closing(made_ahead(exported.selected(session, encoder))) as rows:
            for batch in document_text.members(rows, encoder.dimension):
                write((b",\n" if done else b"\n") + ",\n".join(batch).encode())
                done += len(batch)
                progress.update(done, total)
        write(b"\n]}\n")
    return {"encoder": encoder.id, "features": done}


@unwatched()
def import_json(database: Database, settings: Settings, source: BinaryIO, progress: Progress) -> dict[str, Any]:
    """Take in the features of a `cbmir-features/1` document, with their instances, frames and labels.

    The document is checked as a whole before anything of it is written; then it is written in batches. If that is
    interrupted, importing it again goes on where it stopped: what is known is passed over. An instance that is here
    already, by the hash of its file, is given the features. An encoder that is not here is added without weights,
    unless their file is in the weights folder under the encoder's id.

    Args:
        database: written to.
        settings: where the weights are.
        source: seekable.
        progress: counts bytes, of two passes.

    Returns:
        `{"encoder": id, "rows", "instances", "frames", "features"}`: rows read, and how many of each were new.

    Raises:
        cbmir.errors.BadExport: if the document does not follow the schema or contradicts itself or the database;
            the reason names the row.
        cbmir.errors.EncoderMismatch: if the encoder's id is known here with other weights.
        cbmir.errors.JobCancelled: if progress says so.
    """
    document = Document(source)
    _check(database, document, progress)
    encoder_id = document.encoder["id"]
    counts = imported.Counts()
    with database.write() as session:
        _add_encoder(session, settings, document.encoder)
    for batch in document.batches(ROWS_AT_ONCE):
        with database.write() as session:
            imported.add(session, encoder_id, batch, counts)
        progress.update(document.size + document.position, 2 * document.size, "importing")
    return {"encoder": encoder_id, **counts.as_json()}


def to_json(value: Any) -> bytes:
    """JSON of a value, a numpy array being a list."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _check(database: Database, document: Document, progress: Progress) -> None:
    ledger, done = Ledger(), 0
    with database.read() as session:
        _refuse_another(session.get(Encoder, document.encoder["id"]), document.encoder)
        for batch in document.batches(ROWS_AT_ONCE):
            ledger.enter(batch)
            position = imported.known_otherwise(session, batch)
            if position is not None:
                raise document.fault(done + position + 1, "Its SOP Instance UID is stored here with another file.")
            done += len(batch)
            progress.update(document.position, 2 * document.size, "checking")
    contradiction = ledger.contradiction()
    if contradiction is not None:
        raise document.fault(*contradiction)


def _refuse_another(known: Encoder | None, told: dict[str, Any]) -> None:
    """Refuse features that were made by other weights than those of the encoder here, or of pictures prepared
    otherwise."""
    if known is None:
        return
    for keys, what in (
        (("weights_sha256", "dimension"), "other weights"),
        (("preprocessing",), "another preprocessing"),
    ):
        if any(getattr(known, key) != told[key] for key in keys):
            raise EncoderMismatch(
                f"The encoder {known.id} is stored here with {what}.", "Features of two encoders are never mixed."
            )


def _add_encoder(session: Session, settings: Settings, told: dict[str, Any]) -> None:
    row = session.get(Encoder, told["id"]) or Encoder(**told, weights_file="", generation=0)
    row.weights_file = row.weights_file or _weights_here(settings, told)
    row.kept = True
    session.add(row)
    session.flush()
    activations.begin(session, row.id)


def _weights_here(settings: Settings, told: dict[str, Any]) -> str:
    """The name of the encoder's weights file, if the right one has been put into the weights folder; else ''."""
    file = settings.weights / f"{told['id']}.safetensors"
    return file.name if file.is_file() and sha256_of(file) == told["weights_sha256"] else ""
