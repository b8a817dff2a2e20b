"""Components that are learnt anew, of the installation's own pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cbmir.encoders import efficientnet_lite, registry
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.components import SHARES
from cbmir.errors import BadRequest, EmptyGallery
from cbmir.progress import Silence
from cbmir.services.encoders import adapting
from cbmir.services.encoders.adapting import adapt
from cbmir.services.encoders.shipped import provide
from cbmir.services.features.extract import extract
from cbmir.services.features.loading import load_encoder, weights_of
from cbmir.services.training import lineage
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database
from cbmir.types import FloatArray, Part

Stock = Callable[..., None]
PICTURES = 24


def means(database: Database, settings: Settings, encoder_id: str, inputs: FloatArray) -> dict[str, FloatArray]:
    """What an encoder's reduction gets, by the maps."""
    with database.read() as session:
        row = encoders.get(session, encoder_id)
    data = registry.read(weights_of(row, settings), row.weights_sha256)
    preprocessing = Preprocessing.from_json(row.preprocessing)
    network, sizes = efficientnet_lite.looking_at(data, row.id, preprocessing, [*SHARES, "blocks.99"])
    assert list(sizes) == list(SHARES)
    ends = np.cumsum(list(sizes.values()))[:-1]
    return dict(zip(sizes, np.split(network.encode(inputs), ends, axis=1), strict=True))


def test_the_components_are_those_of_the_own_pictures(
    database: Database, settings: Settings, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database, patients=PICTURES // 2)
    provide(database)
    with pytest.raises(EmptyGallery, match=f"{PICTURES} pictures, too few"):
        adapt(database, settings, None, Silence())
    monkeypatch.setattr(adapting, "FEWEST", PICTURES)
    added = adapt(database, settings, None, Silence())
    assert (added.pictures, added.odd) == (PICTURES, [])

    for encoder_id in (added.before, added.encoder_id):
        assert extract(database, settings, encoder_id, Silence())["extracted"] == PICTURES
    with database.read() as session:
        theirs, own = (features.matrix(session, each)[1] for each in (added.before, added.encoder_id))
        row = encoders.get(session, added.encoder_id)
    assert row.dimension == own.shape[1] == PICTURES - 1, "so many pictures differ in no more directions"
    assert row.training["adapted"] == {"from": added.before, "pictures": PICTURES}
    assert row.training["maps"] == SHARES
    assert not row.id.startswith(added.before)
    assert np.abs(own.mean(axis=0)).max() < 1e-3
    deviations = own.std(axis=0)
    together = own.T @ own / PICTURES / np.outer(deviations, deviations)
    assert np.abs(together - np.eye(len(together))).max() < 0.02, "components of these pictures are not correlated"
    assert np.abs(theirs.mean(axis=0)).max() > 0.01, "those of the first encoder are other pictures' components"


def test_the_network_and_what_it_has_seen_stay(
    database: Database, settings: Settings, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database, patients=PICTURES // 2)
    provide(database)
    monkeypatch.setattr(adapting, "FEWEST", PICTURES)
    with database.write() as session:
        before = encoders.resolve(session, None).id
        encoders.set_parts(session, before, {1: Part.TRAIN, 2: Part.TEST})
    added = adapt(database, settings, None, Silence())
    inputs = np.random.default_rng(0).random((2, 1, 128, 128), np.float32)
    first, second = (means(database, settings, each, inputs) for each in (before, added.encoder_id))
    assert all(np.array_equal(second[name], each) for name, each in first.items())
    with database.read() as session:
        old, new = (encoders.get(session, each) for each in (before, added.encoder_id))
        assert lineage.of(session, new) == lineage.of(session, old)
        assert lineage.of(session, new).recorded
    encoder = load_encoder(new, settings)
    assert np.isfinite(encoder.encode(inputs)).all()


def test_an_encoder_without_components_is_refused(
    database: Database, settings: Settings, add_network: Callable[..., str]
) -> None:
    with pytest.raises(BadRequest, match="not made of maps") as refused:
        adapt(database, settings, add_network(database), Silence())
    assert "--reduce 48" in refused.value.remedy
