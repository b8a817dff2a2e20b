"""Encoders in 8 bits: added where the neighbours stay, refused where they do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import func, select, update

from cbmir.errors import BadRequest, EmptyGallery
from cbmir.progress import Silence
from cbmir.services.encoders import quantising
from cbmir.services.encoders.quantising import Comparison, compared, quantise
from cbmir.services.features.extract import extract
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import encoders, tables
from cbmir.store.session import Database

Stock = Callable[..., None]
GROUPS = np.arange(100)
LABELS = ["ab"[number % 2] for number in range(100)]


def features(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(100, 8)).astype(np.float32)


def test_the_same_features_find_the_same() -> None:
    same = compared(features(0), features(0), GROUPS, LABELS)
    assert (same.pictures, same.overlap, same.precision) == (100, 1.0, same.precision_in_8_bits)
    assert same.serves


def test_others_find_others() -> None:
    labelled = features(0)
    labelled[:, 0] += 20 * (np.arange(100) % 2)
    worse = compared(labelled, features(1), GROUPS, LABELS)
    assert worse.precision == 1
    assert worse.precision_in_8_bits is not None
    assert 0.3 < worse.precision_in_8_bits < 0.7
    assert not worse.serves
    assert not compared(features(0), features(1), GROUPS, [None] * 100).serves


def test_the_own_patient_is_no_neighbour() -> None:
    twins = np.repeat(features(0)[:50], 2, axis=0)
    pairs = np.repeat(np.arange(50), 2)
    alone = compared(twins, twins, pairs, [str(each) for each in pairs])
    assert alone.precision == 0, "a twin would be the nearest, and of the same label"


def test_an_encoder_in_8_bits_is_another_encoder(
    database: Database, settings: Settings, stock: Stock, add_network: Callable[..., str]
) -> None:
    stock(database, patients=40)
    first = add_network(database)
    with pytest.raises(EmptyGallery, match="too few"):
        quantise(database, settings, first, Silence())
    extract(database, settings, first, Silence())
    added, comparison = quantise(database, settings, None, Silence())
    assert comparison.pictures == 80
    assert comparison.overlap > 0.8
    with database.read() as session:
        row = encoders.get(session, added)
        whole = load_encoder(encoders.get(session, first), settings)
    assert added.startswith("cnn-autoencoder-int8-")
    assert row.training["in_8_bits"]["from"] == first
    smaller = load_encoder(row, settings)
    inputs = np.random.default_rng(0).random((3, 1, 16, 16), np.float32)
    expected, found = whole.encode(inputs), smaller.encode(inputs)
    assert not np.array_equal(expected, found)
    assert np.linalg.norm(expected - found) < 0.1 * np.linalg.norm(expected)
    assert extract(database, settings, added, Silence())["extracted"] == 80
    with pytest.raises(BadRequest, match="is in 8 bits already"):
        quantise(database, settings, added, Silence())


def test_of_one_patient_there_is_nothing_to_compare(
    database: Database, settings: Settings, stock: Stock, add_network: Callable[..., str]
) -> None:
    stock(database, patients=30)
    encoder = add_network(database)
    extract(database, settings, encoder, Silence())
    with database.write() as session:
        session.execute(
            update(tables.Instance).values(group_id=select(func.min(tables.Group.id)).scalar_subquery())
        )
    with pytest.raises(EmptyGallery, match="too few patients to compare with: all but 0 are of one"):
        quantise(database, settings, encoder, Silence())


def test_nothing_is_added_where_the_neighbours_do_not_stay(
    database: Database,
    settings: Settings,
    stock: Stock,
    add_network: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock(database, patients=30)
    encoder = add_network(database)
    extract(database, settings, encoder, Silence())
    monkeypatch.setattr(quantising, "compared", lambda *_: Comparison(60, 0.2, 0.9, 0.4))
    with pytest.raises(BadRequest, match=r"same neighbours: of the five nearest 20\.0% stay"):
        quantise(database, settings, encoder, Silence())
    with database.read() as session:
        assert [row.id for row in encoders.listing(session)] == [encoder]
    assert len(list(settings.weights.iterdir())) == 1
