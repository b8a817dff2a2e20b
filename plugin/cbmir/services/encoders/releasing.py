"""The use case: an encoder of an installation becomes the one that comes with the product."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy.orm import Session

from cbmir.encoders import shipped
from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import BadRequest, NotFound
from cbmir.files import write_whole
from cbmir.services.training import lineage
from cbmir.services.training.plan import data_sha256
from cbmir.settings import Settings
from cbmir.store import encoders, training
from cbmir.store.session import Database
from cbmir.store.tables import Encoder

FOR_ALL = 0o644


def release(database: Database, settings: Settings, encoder_id: str, folder: Path) -> list[Path]:
    """Write an encoder as `cbmir.encoders.shipped` reads it: weights, description, and hashes of its pictures.

    Args:
        database: of the installation that trained it, which holds the pictures of the training and no others.
        settings: of that installation.
        encoder_id: which.
        folder: that gets the files; `plugin/cbmir/encoders` of a checkout, or any other.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder, or its weights are not here.
        cbmir.errors.BadRequest: if it was trained on other pictures than those that are here.
        cbmir.errors.DiskFull: if there is no room.
    """
    with database.read() as session:
        row = encoders.get(session, encoder_id)
        if not encoders.parts(session, row.id) or row.training.get("data_sha256") != _data(session):
            raise BadRequest(
                f"The encoder {row.id} was not trained on the pictures of this installation as they are now.",
                "Release it from the installation that trained it, or train one.",
            )
        split = _split(session, row)
    made = {shipped.FILE: _weights(settings, row), shipped.DESCRIPTION: _description(row), shipped.SPLIT: split}
    for name, data in made.items():
        write_whole(folder / name, data)
        (folder / name).chmod(FOR_ALL)
    return [folder / name for name in made]


def _data(session: Session) -> str:
    return data_sha256(training.frames(session))


def _split(session: Session, row: Encoder) -> bytes:
    parts = lineage.of(session, row).parts
    held = [(sha256, parts[group]) for group, *both in training.pictures(session) for sha256 in both]
    held.sort(key=lambda each: lineage.STRONGEST_LAST.index(each[1]))  # of a hash that is there twice
    return PictureSplit.of(row.training["data_sha256"], row.training["seed"], held).as_bytes()


def _weights(settings: Settings, row: Encoder) -> bytes:
    try:
        return (settings.weights / row.weights_file).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            f"The weights of the encoder {row.id} are not here.", "Restore them from a backup."
        ) from error


def _description(row: Encoder) -> bytes:
    """Evaluations are left out: they are of an installation's own patients."""
    names = ("id", "architecture", "dimension", "preprocessing", "training")
    described = {name: getattr(row, name) for name in names}
    metrics = {name: each for name, each in row.metrics.items() if name != "evaluations"}
    return (json.dumps({**described, "metrics": metrics}, indent=1) + "\n").encode()
