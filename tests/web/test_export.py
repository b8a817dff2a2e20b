"""The export as a stream: whole, slow, abandoned, broken."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.errors import CbmirError, DatabaseUnavailable, JobCancelled
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir_web.api.export import PIECES_AHEAD, Pipe, Write


def exporting() -> list[threading.Thread]:
    """The producers that still run."""
    return [thread for thread in threading.enumerate() if thread.name == "export"]


def test_features_are_exported(client: FlaskClient, archive: Any) -> None:
    response = client.get("/api/v1/export")
    assert response.mimetype == "application/json"
    assert f'filename="{archive.encoder}.json"' in response.headers["Content-Disposition"]
    document = response.json
    assert document["schema"] == "cbmir-features/1"
    assert document["encoder"]["id"] == archive.encoder
    assert len(document["features"]) == 5
    assert len(document["features"][0]["feature"]) == 48


@pytest.mark.usefixtures("archive")
def test_an_unknown_encoder_is_refused_before_the_stream_begins(client: FlaskClient) -> None:
    response = client.get("/api/v1/export?encoder=none")
    assert response.status_code == 404
    assert response.json["error"]["code"] == "not-found"


def test_features_that_were_freed_are_refused_before_the_stream_begins(
    client: FlaskClient, database: Database, archive: Any
) -> None:
    with database.write() as session:
        encoders.set_kept(session, archive.encoder, False)
    response = client.get("/api/v1/export")
    assert (response.status_code, response.json["error"]["code"]) == (409, "encoder-not-ready")
    assert exporting() == []


def test_a_slow_reader_holds_the_writer_back() -> None:
    written: list[int] = []

    def produce(write: Write) -> None:
        for number in range(10 * PIECES_AHEAD):
            write(b"%d," % number)
            written.append(number)

    pieces = iter(Pipe(produce))
    next(pieces)
    time.sleep(0.3)
    assert len(written) <= PIECES_AHEAD + 2
    assert b"".join(pieces).endswith(b"%d," % (10 * PIECES_AHEAD - 1))
    assert exporting() == []


def test_a_reader_that_leaves_stops_the_writer() -> None:
    stopped = threading.Event()

    def produce(write: Write) -> None:
        try:
            while True:
                write(b"more")
        except JobCancelled:
            stopped.set()
            raise

    pieces = iter(Pipe(produce))
    next(pieces)
    pieces.close()
    assert stopped.is_set()
    assert exporting() == []


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), ZeroDivisionError()])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_in_the_middle_is_no_end(error: Exception) -> None:
    def produce(write: Write) -> None:
        write(b"half")
        raise error

    pieces = iter(Pipe(produce))
    assert next(pieces) == b"half"
    with pytest.raises(CbmirError):
        next(pieces)
    assert exporting() == []
