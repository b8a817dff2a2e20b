"""The encoder that comes with the product: there from the first minute, and in nobody's way."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cbmir.encoders import shipped
from cbmir.errors import NotFound
from cbmir.services.encoders.shipped import add, provide
from cbmir.services.encoders.versions.overview import versions
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import activations, encoders
from cbmir.store.session import Database

LARGEST = 15_000_000
"""Bytes that the weights may take in the package."""


def test_an_empty_installation_has_it_and_it_answers(database: Database, settings: Settings) -> None:
    provide(database)
    with database.read() as session:
        row = encoders.resolve(session, None)
        active = activations.active(session)
        assert active is not None
        assert active.id == row.id
        assert row.dimension == 48
        assert not row.kept, "nobody has asked for its features yet"
        encoder = load_encoder(row, settings)
    assert encoder.dimension == 48


def test_another_encoder_is_not_joined_by_it(database: Database) -> None:
    own = {"id": "own", "architecture": "onnx", "weights_file": "", "weights_sha256": "0" * 64, "dimension": 2}
    with database.write() as session:
        encoders.add(session, **own, preprocessing={}, training={}, metrics={})
    provide(database)
    with database.read() as session:
        assert [row.id for row in encoders.listing(session)] == ["own"]


def test_it_takes_the_place_of_an_earlier_one_that_nobody_used(database: Database) -> None:
    """As after an upgrade of an installation that has trained and extracted nothing."""
    earlier = {"id": "earlier", "architecture": "efficientnet-lite0", "weights_file": "gone", "weights_sha256": "0"}
    with database.write() as session:
        encoders.add(session, **earlier, dimension=48, preprocessing={}, training={}, metrics={}, kept=False)
    provide(database)
    provide(database)
    with database.read() as session:
        assert encoders.resolve(session, None).id == shipped.description()["id"]
        assert len(encoders.listing(session)) == 2


def test_one_that_was_never_used_is_not_called_freed(database: Database) -> None:
    provide(database)
    own = {"id": "own", "architecture": "onnx", "weights_file": "", "weights_sha256": "0" * 64, "dimension": 2}
    with database.write() as session:
        encoders.add(session, **own, preprocessing={}, training={}, metrics={})
        shown = {each.encoder.id: each for each in versions(session)}
    assert shown["own"].state == "in use"
    assert shown[shipped.description()["id"]].state == "not extracted"
    assert not shown[shipped.description()["id"]].is_previous, "there is no way back to it"


def test_it_is_taken_in_beside_another_when_asked_for(database: Database) -> None:
    own = {"id": "own", "architecture": "onnx", "weights_file": "", "weights_sha256": "0" * 64, "dimension": 2}
    with database.write() as session:
        encoders.add(session, **own, preprocessing={}, training={}, metrics={})
    added = add(database)
    assert add(database) == added == shipped.description()["id"]
    with database.read() as session:
        assert {row.id for row in encoders.listing(session)} == {"own", added}
        assert encoders.get(session, added).kept


def test_it_is_what_its_description_says() -> None:
    data, described = shipped.weights(), shipped.description()
    assert len(data) <= LARGEST
    assert described["id"].endswith(hashlib.sha256(data).hexdigest()[:8])


def test_its_weights_are_copied_once_into_the_installation(tmp_path: Path) -> None:
    path = tmp_path / shipped.name()
    shipped.bring(path)
    assert path.read_bytes() == shipped.weights()
    path.write_bytes(b"the administrator's")
    shipped.bring(path)
    assert path.read_bytes() == b"the administrator's"
    shipped.bring(tmp_path / "another.safetensors")
    assert not (tmp_path / "another.safetensors").exists()


def test_without_its_files_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FILE", "elsewhere.safetensors")
    with pytest.raises(NotFound, match=r"elsewhere\.safetensors is not in this installation"):
        shipped.weights()
