"""Galleries are loaded once a process and generation, and only the last ones asked for are held."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest
from sqlalchemy.orm import Session

from cbmir.services.retrieval import gallery
from cbmir.services.retrieval.indexes import index_files
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances, tables
from cbmir.store.session import Database


def test_the_gallery_is_loaded_once_also_by_many_threads(
    database: Database, settings: Settings, add_network: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder_id = add_network(database)
    galleries, loads = gallery.Galleries(), []
    read = features.members_of

    def counted(session: Session, encoder: tables.Encoder, after: int = -1) -> object:
        if after < 0:  # all of them, not what is new
            loads.append(encoder.id)
        return read(session, encoder, after)

    def load(_: int) -> gallery.Gallery:
        with database.read() as session:
            return galleries.of(database, session, encoders.get(session, encoder_id), settings)

    monkeypatch.setattr(features, "members_of", counted)
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(load, range(40)))
    assert loads == [encoder_id]
    assert all(each is held[0] for each in held)


def test_only_the_galleries_asked_for_last_are_held(
    database: Database, settings: Settings, add_network: Callable[..., str]
) -> None:
    first, second, third = (add_network(database, seed) for seed in (5, 6, 7))
    galleries = gallery.Galleries()

    def load(encoder_id: str) -> gallery.Gallery:
        with database.read() as session:
            return galleries.of(database, session, encoders.get(session, encoder_id), settings)

    held = {encoder_id: load(encoder_id) for encoder_id in (first, second, third)}
    assert load(second) is held[second]
    assert load(third) is held[third]
    assert load(first) is not held[first]


def test_no_query_waits_while_an_index_that_was_made_anew_is_opened(
    database: Database,
    settings: Settings,
    add_network: Callable[..., str],
    stock: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock(database)
    encoder_id, galleries = add_network(database), gallery.Galleries()
    opened, let_go = index_files.current, Event()
    with database.write() as session:
        encoder = encoders.get(session, encoder_id)
        ids = [each for each, _ in features.missing_frames(session, encoder_id, after=0, limit=12)]
        features.add_batch(session, encoder, ids, np.ones((12, encoder.dimension), np.float32))

    def load() -> gallery.Gallery:
        with database.read() as session:
            return galleries.of(database, session, encoders.get(session, encoder_id), settings)

    def held_up(*given: Any) -> index_files.Base:
        assert let_go.wait(30), "a query waits for it"
        return opened(*given)

    before = load()
    index_files.rebuild(database, settings, encoder_id)
    monkeypatch.setattr(index_files, "current", held_up)
    with database.write() as session:
        instances.delete(session, instances.frame(session, ids[0]).instance)
    meanwhile = load()
    assert meanwhile.mark == before.mark
    assert (before.frame_ids.tolist(), meanwhile.frame_ids.tolist()) == (ids, ids[1:])
    let_go.set()
    assert galleries._renewing is not None
    galleries._renewing.join()
    after = load()
    assert after.mark != before.mark
    assert after.generation == meanwhile.generation
    assert after.frame_ids.tolist() == ids[1:]
    with database.read() as session:
        assert after.mark == index_files.mark(session, encoder_id, settings)
