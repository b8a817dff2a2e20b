"""Galleries are loaded once a process and generation, and only the last ones asked for are held."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session

from cbmir.services.retrieval import gallery
from cbmir.settings import Settings
from cbmir.store import encoders, features, tables
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
