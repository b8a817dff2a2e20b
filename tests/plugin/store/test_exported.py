"""What leaves as JSON is what is stored, in whichever pieces it is read, out of either database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from cbmir.labels import tidied
from cbmir.progress import Silence
from cbmir.services.features.export import export_json
from cbmir.store import document_text, exported, features
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Instance

NAMES = (f"1{exported.BETWEEN}2", 'a"b\\c\n\t\x7f', "\u2028 \U0001f600 ü", "'%", "], [", "null")
VECTORS = np.arange(4 * len(NAMES), dtype=np.float32).reshape(-1, 4)


@pytest.fixture
def filled(
    any_database: Database, new_instance: Callable[..., Instance], new_encoder: Callable[..., Encoder]
) -> Database:
    """On either database, an instance of each name, which is its label's and its group's too; one has no label."""
    with any_database.write() as session:
        encoder = new_encoder(session)
        made = [new_instance(session, name, group=name, labels={name: name}) for name in NAMES[1:]]
        made.append(new_instance(session, NAMES[0], group=NAMES[0]))
        ids = [frame.id for each in made for frame in each.frames]
        features.add_batch(session, encoder, ids, VECTORS)
    return any_database


def written(database: Database) -> list[dict[str, Any]]:
    out = BytesIO()
    export_json(database, None, out.write, Silence())
    found: list[dict[str, Any]] = json.loads(out.getvalue())["features"]
    return found


@pytest.mark.parametrize(("read", "made"), [(2_000, 100), (1, 1), (4, 3), (5, 2), (6, 6)])
def test_any_text_and_number_leaves_as_it_is_stored(
    filled: Database, monkeypatch: pytest.MonkeyPatch, read: int, made: int
) -> None:
    monkeypatch.setattr(exported, "ROWS_AT_ONCE", read)
    monkeypatch.setattr(document_text, "ROWS_AT_ONCE", made)
    rows = written(filled)
    assert [(row["file_name"], row["group"]) for row in rows] == [(name, name) for name in (*NAMES[1:], NAMES[0])]
    assert [row["labels"] for row in rows] == [*({name: tidied(name)} for name in NAMES[1:]), {}]
    assert [row["feature"] for row in rows] == VECTORS.tolist()


def test_who_can_take_no_more_leaves_the_database_free(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "ROWS_AT_ONCE", 1)
    taken: list[bytes] = []

    def take(piece: bytes) -> None:
        taken.append(piece)
        if len(taken) == 3:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError) as raised:
        export_json(filled, None, take, Silence())
    assert raised.tb, "which keeps alive what was at work"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    with filled.write() as session:
        session.delete(session.get_one(Encoder, "net-1"))
    assert len(taken) == 3


def test_an_encoder_without_features_leaves_alone(
    any_database: Database, new_encoder: Callable[..., Encoder]
) -> None:
    with any_database.write() as session:
        new_encoder(session)
    assert written(any_database) == []
