"""Trained encoders: added, found, chosen, with the split they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from cbmir.errors import EncoderMismatch, NotFound
from cbmir.store.tables import Encoder, Feature, GroupPart
from cbmir.store.writing import insert_new
from cbmir.types import Part


def add(
    session: Session,
    *,
    id: str,
    architecture: str,
    weights_file: str,
    weights_sha256: str,
    dimension: int,
    preprocessing: Mapping[str, Any],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> Encoder:
    """Store a trained encoder; where its very weights are stored already, that row is brought up to date.

    Args:
        session: one that writes.
        id: architecture and the first digits of the weights' SHA-256.
        architecture: a name in the registry of encoders.
        weights_file: name within the weights folder; empty where the weights are elsewhere.
        weights_sha256: of that file, 64 hexadecimal digits.
        dimension: numbers in a feature.
        preprocessing: what is done to a picture first.
        training: what is needed to train it again.
        metrics: what it reached; a stored row keeps its evaluations.

    Raises:
        cbmir.errors.EncoderMismatch: if the id is taken by other weights or another dimension.
    """
    row = session.get(Encoder, id) or Encoder(
        id=id, weights_sha256=weights_sha256, dimension=dimension, generation=0, metrics={}
    )
    if (row.weights_sha256, row.dimension) != (weights_sha256, dimension):
        raise EncoderMismatch(f"The encoder {id} is stored with other weights.")
    row.architecture = architecture
    row.weights_file = weights_file or row.weights_file or ""
    row.preprocessing, row.training = dict(preprocessing), dict(training)
    row.metrics = {**row.metrics, **metrics}
    session.add(row)
    session.flush()
    return row


def get(session: Session, id: str) -> Encoder:
    """The encoder of this id.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    row = session.get(Encoder, id)
    if row is None:
        raise NotFound(f"There is no encoder {id}.", "See `cbmir encoders`.")
    return row


def resolve(session: Session, id: str | None) -> Encoder:
    """The encoder asked for; without an id the newest that has features, else the newest.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    if id is not None:
        return get(session, id)
    newest = select(Encoder).order_by(Encoder.created_at.desc(), Encoder.id).limit(1)
    with_features = newest.where(exists().where(Feature.encoder_id == Encoder.id))
    row = session.scalar(with_features) or session.scalar(newest)
    if row is None:
        raise NotFound("There is no encoder yet.", "Train one: `cbmir train`.")
    return row


def listing(session: Session) -> list[Encoder]:
    """All encoders, newest first."""
    return list(session.scalars(select(Encoder).order_by(Encoder.created_at.desc(), Encoder.id)))


def set_parts(session: Session, encoder_id: str, parts: Mapping[int, Part]) -> None:
    """Keep in which part of the split each group (by row id) stood; replaces what was kept before."""
    session.execute(delete(GroupPart).where(GroupPart.encoder_id == encoder_id))
    rows = [{"encoder_id": encoder_id, "group_id": group, "part": part.value} for group, part in parts.items()]
    insert_new(session, GroupPart, rows)


def parts(session: Session, encoder_id: str) -> dict[int, Part]:
    """Group's row id -> its part in the encoder's training; groups that came later are absent."""
    statement = select(GroupPart.group_id, GroupPart.part).where(GroupPart.encoder_id == encoder_id)
    return {group: Part(part) for group, part in session.execute(statement)}


def record_evaluation(session: Session, encoder_id: str, evaluation: Mapping[str, Any]) -> None:
    """Append an evaluation to the encoder's metrics.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
    """
    row = session.get(Encoder, encoder_id, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no encoder {encoder_id}.")
    row.metrics = {**row.metrics, "evaluations": [*row.metrics.get("evaluations", []), dict(evaluation)]}
    session.flush()
